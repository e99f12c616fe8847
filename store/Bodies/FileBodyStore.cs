using System.Buffers;
using Cheops.Proto;
using Microsoft.Win32.SafeHandles;

namespace Cheops.Store.Bodies;

/// <summary>
/// Bodies in pooled memory up to <see cref="Bounds.BodyMemorySizeMax"/>, then in a file without a name: it is unlinked
/// as soon as it is open, so the kernel gives its room back however the process ends.
/// </summary>
/// <param name="directory">Where files are made; created when first needed.</param>
/// <param name="memorySizeMax">Bytes of one body kept in memory.</param>
/// <param name="spillTotalMax">Bytes of all bodies together on disk.</param>
public sealed class FileBodyStore(
    string directory,
    int memorySizeMax = Bounds.BodyMemorySizeMax,
    long spillTotalMax = Bounds.BodySpillTotalMax) : IBodyStore
{
    private readonly int _memorySizeMax = memorySizeMax;
    private long _spilled;

    /// <summary>Bytes on disk at this moment.</summary>
    public long SpilledBytes => Interlocked.Read(ref _spilled);

    /// <inheritdoc/>
    public BodySpool Create() => new Spool(this);

    private void Reserve(int count)
    {
        if (Interlocked.Add(ref _spilled, count) <= spillTotalMax) return;
        Interlocked.Add(ref _spilled, -count);
        throw new BodyStoreException(
            BodyStoreError.Full, $"the {spillTotalMax} bytes of disk given to kept bodies are all in use");
    }

    private void Release(long count) => Interlocked.Add(ref _spilled, -count);

    private SafeFileHandle OpenUnlinked()
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, Path.GetRandomFileName());
        var handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.Asynchronous);
        try
        {
            File.Delete(path);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private sealed class Spool(FileBodyStore store) : BodySpool
    {
        private byte[] _memory = [];
        private int _inMemory;
        private SafeFileHandle? _file;
        private long _inFile;

        public override long Length => _inMemory + _inFile;

        public override async ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
        {
            if (Length + data.Length > Bounds.BodySpillSizeMax)
                throw new BodyStoreException(BodyStoreError.TooLarge, $"the body is longer than {Bounds.BodySpillSizeMax} bytes");

            // A body that has begun to spill stays on disk: its bytes keep one order without a second index.
            if (_file is null && _inMemory + data.Length <= store._memorySizeMax)
            {
                Grow(_inMemory + data.Length);
                data.CopyTo(_memory.AsMemory(_inMemory));
                _inMemory += data.Length;
                return;
            }

            await SpillAsync(data, cancellation);
        }

        private async ValueTask SpillAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
        {
            store.Reserve(data.Length);
            try
            {
                _file ??= store.OpenUnlinked();
                await RandomAccess.WriteAsync(_file, data, _inFile, cancellation);
                _inFile += data.Length;
            }
            catch (Exception e)
            {
                store.Release(data.Length);
                if (e is IOException or UnauthorizedAccessException) throw Translated(e);
                throw;
            }
        }

        public override async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation)
        {
            if (offset < _inMemory)
            {
                var count = Math.Min(_inMemory - (int)offset, destination.Length);
                _memory.AsMemory((int)offset, count).CopyTo(destination);
                return count;
            }

            var left = Length - offset;
            if (left <= 0 || _file is null) return 0;
            if (destination.Length > left) destination = destination[..(int)left];
            try
            {
                var read = await RandomAccess.ReadAsync(_file, destination, offset - _inMemory, cancellation);
                return read > 0 || destination.IsEmpty
                    ? read
                    : throw new BodyStoreException(BodyStoreError.Failed, "a kept body is shorter on disk than what was written");
            }
            catch (IOException e) when (e is not BodyStoreException)
            {
                throw Translated(e);
            }
        }

        private void Grow(int size)
        {
            if (size <= _memory.Length) return;
            var larger = ArrayPool<byte>.Shared.Rent(size);
            _memory.AsSpan(0, _inMemory).CopyTo(larger);
            if (_memory.Length > 0) ArrayPool<byte>.Shared.Return(_memory);
            _memory = larger;
        }

        private static BodyStoreException Translated(Exception e)
        {
            const int NoSpaceLeft = 28, QuotaExceeded = 122; // ENOSPC, EDQUOT
            return e.HResult is NoSpaceLeft or QuotaExceeded
                ? new BodyStoreException(BodyStoreError.Full, "the disk that keeps bodies is full", e)
                : new BodyStoreException(BodyStoreError.Failed, $"a body could not be kept on disk: {e.Message}", e);
        }

        public override ValueTask DisposeAsync()
        {
            if (_memory.Length > 0) ArrayPool<byte>.Shared.Return(_memory);
            _memory = [];
            _inMemory = 0;
            if (_file is not null)
            {
                _file.Dispose();
                store.Release(_inFile);
                _file = null;
                _inFile = 0;
            }

            return ValueTask.CompletedTask;
        }
    }
}
