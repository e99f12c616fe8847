using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Cheops.Store.Contents;

/// <summary>A body being received into a file.</summary>
/// <param name="store">Where it is kept.</param>
/// <param name="path">The file until the body is whole.</param>
/// <param name="promised">Its hash, when it is known.</param>
/// <param name="sizeMax">Its size when the hash is known, else the largest.</param>
/// <param name="length">Bytes that are there from an earlier attempt.</param>
/// <param name="isWhole">Whether the body is kept whole already.</param>
internal sealed class FileContentWriter(FileContentStore store, string path, ContentHash? promised, long sizeMax, long length, bool isWhole)
    : ContentWriter
{
    private const int BufferSize = 64 * 1024;

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private SafeFileHandle? _file;
    private long _hashed;
    private long _length = length;
    // Bytes whose room is this writer's.
    private long _held = isWhole ? 0 : length;
    private bool _isOver;
    private bool _isNamed;
    private bool _isDisposed;

    public override long Length => _length;

    public override async ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed || _isOver, this);
        if (_length + data.Length > sizeMax) throw new ContentException(ContentError.TooLarge, $"the body is longer than {sizeMax} bytes");
        store.Reserve(data.Length);
        try
        {
            var file = await OpenAsync(cancellation);
            await RandomAccess.WriteAsync(file, data, _length, cancellation);
        }
        catch (Exception e)
        {
            store.Release(data.Length);
            if (e is IOException and not ContentException or UnauthorizedAccessException) throw FileContentStore.Translated(e);
            throw;
        }

        _hash.AppendData(data.Span);
        _held += data.Length;
        _length += data.Length;
        _hashed = _length;
    }

    /// <summary>1. The bytes are made durable. 2. Their hash is compared. 3. They get their name, durably.</summary>
    public override async ValueTask<ContentHash> CompleteAsync(CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed || _isOver, this);
        _isOver = true;
        if (isWhole && store.IsWhole(promised!.Value)) return promised.Value;
        try
        {
            var file = await OpenAsync(cancellation);
            // :: Step 1
            RandomAccess.SetLength(file, _length);
            await Task.Run(() => RandomAccess.FlushToDisk(file), cancellation);
            // :: Step 2
            var hash = ContentHash.Read(_hash.GetCurrentHash());
            if (promised is { } expected && (hash != expected || _length != sizeMax))
            {
                Drop();
                throw new ContentException(ContentError.WrongHash, $"the {_length} bytes received for the body {expected} have the hash {hash}");
            }

            // :: Step 3
            store.Name(path, hash, _length);
            (_held, _isNamed) = (0, true);
            return hash;
        }
        catch (Exception e) when (e is IOException and not ContentException or UnauthorizedAccessException)
        {
            throw FileContentStore.Translated(e);
        }
    }

    /// <summary>Opens the file, and hashes what is there from an earlier attempt.</summary>
    private async ValueTask<SafeFileHandle> OpenAsync(CancellationToken cancellation)
    {
        _file ??= File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, FileOptions.Asynchronous);
        if (_hashed == _length) return _file;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            while (_hashed < _length)
            {
                var wanted = (int)Math.Min(buffer.Length, _length - _hashed);
                var count = await RandomAccess.ReadAsync(_file, buffer.AsMemory(0, wanted), _hashed, cancellation);
                if (count == 0) throw new IOException($"{path} is shorter than it was");
                _hash.AppendData(buffer, 0, count);
                _hashed += count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return _file;
    }

    private void Drop()
    {
        File.Delete(path);
        store.Release(_held);
        _held = 0;
    }

    public override ValueTask DisposeAsync()
    {
        if (_isDisposed) return ValueTask.CompletedTask;
        _isDisposed = true;
        _hash.Dispose();
        _file?.Dispose();
        try
        {
            if (promised is null && !_isNamed) Drop();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start removes it; until then its room stays taken.
        }

        if (promised is { } hash) store.Leave(hash, _held);
        return ValueTask.CompletedTask;
    }
}

/// <summary>A kept body, open.</summary>
internal sealed class FileContentReader(SafeFileHandle file, long size) : ContentReader
{
    public override long Size => size;

    public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation = default)
    {
        var left = size - offset;
        if (left <= 0 || destination.IsEmpty) return 0;
        if (destination.Length > left) destination = destination[..(int)left];
        try
        {
            var count = await RandomAccess.ReadAsync(file, destination, offset, cancellation);
            return count > 0 ? count : throw new ContentException(ContentError.Failed, "a kept body is shorter on disk than what was written");
        }
        catch (Exception e) when (e is IOException and not ContentException)
        {
            throw FileContentStore.Translated(e);
        }
    }

    public override ValueTask DisposeAsync()
    {
        file.Dispose();
        return ValueTask.CompletedTask;
    }
}
