using Cheops.Proto;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Contents;

/// <summary>
/// Bodies as files of one directory: a whole one under its hash, a partial one under its hash with <c>.part</c>, one
/// whose hash is not known yet under a name of chance with <c>.new</c>, which the next start removes.
/// </summary>
/// <remarks>A body gets its name when its bytes are on stable storage, so what has the name is whole.</remarks>
public sealed class FileContentStore : IContentStore
{
    private const string PartEnding = ".part", NewEnding = ".new";

    private readonly Lock _gate = new();
    private readonly string _directory;
    private readonly TimeProvider _time;
    private readonly long _totalMax;
    private readonly Dictionary<ContentHash, ContentInfo> _whole = [];
    private readonly Dictionary<ContentHash, long> _partial = [];
    private readonly HashSet<ContentHash> _busy = [];
    private long _used;

    /// <summary>Opens the store in a directory.</summary>
    /// <param name="directory">Where it is; created when missing.</param>
    /// <param name="time">Tells when bodies are completed and opened.</param>
    /// <param name="totalMax">Bytes of all bodies together, whole and partial.</param>
    /// <exception cref="ContentException">The directory cannot be used.</exception>
    public FileContentStore(string directory, TimeProvider time, long totalMax = Bounds.ContentTotalMax)
    {
        (_time, _totalMax) = (time, totalMax);
        try
        {
            _directory = Directory.CreateDirectory(directory).FullName;
            foreach (var file in new DirectoryInfo(_directory).EnumerateFiles()) Find(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Translated(e);
        }
    }

    /// <summary>Bytes of all bodies at this moment, whole and partial.</summary>
    public long UsedBytes => Interlocked.Read(ref _used);

    private void Find(FileInfo file)
    {
        if (file.Name.EndsWith(NewEnding, StringComparison.Ordinal))
        {
            file.Delete();
            return;
        }

        var isPart = file.Name.EndsWith(PartEnding, StringComparison.Ordinal);
        if (!ContentHash.TryParse(file.Name.AsSpan()[..^(isPart ? PartEnding.Length : 0)], out var hash)) return;
        if (isPart) _partial[hash] = file.Length;
        else _whole[hash] = new ContentInfo(hash, file.Length, new DateTimeOffset(file.LastWriteTimeUtc));
        _used += file.Length;
    }

    /// <inheritdoc/>
    public ContentWriter Create() => new FileContentWriter(this, Path.Combine(_directory, Path.GetRandomFileName() + NewEnding), null, Bounds.ContentSizeMax, 0, isWhole: false);

    /// <inheritdoc/>
    public ContentWriter Resume(ContentHash hash, long size)
    {
        if (size is < 0 or > Bounds.ContentSizeMax) throw new ContentException(ContentError.TooLarge, $"a body has at most {Bounds.ContentSizeMax} bytes, not {size}");
        lock (_gate)
        {
            if (_busy.Contains(hash)) throw new ContentException(ContentError.Busy, $"the body {hash} is being received already");
            // More than there can be: a crash left it.
            if (_partial.GetValueOrDefault(hash) > size) Remove(hash);
            _busy.Add(hash);
            var isWhole = _whole.ContainsKey(hash);
            var length = isWhole ? size : _partial.GetValueOrDefault(hash);
            return new FileContentWriter(this, PathOf(hash) + PartEnding, hash, size, length, isWhole);
        }
    }

    /// <inheritdoc/>
    public ContentReader? Open(ContentHash hash)
    {
        lock (_gate)
        {
            if (!_whole.TryGetValue(hash, out var info)) return null;
            try
            {
                var file = File.OpenHandle(PathOf(hash), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, FileOptions.Asynchronous);
                Touch(info);
                return new FileContentReader(file, info.Size);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Translated(e);
            }
        }
    }

    /// <inheritdoc/>
    public void Remove(ContentHash hash)
    {
        lock (_gate)
        {
            try
            {
                if (_whole.ContainsKey(hash)) File.Delete(PathOf(hash));
                if (_whole.Remove(hash, out var info)) Release(info.Size);
                if (!_busy.Contains(hash)) RemovePartial(hash);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Translated(e);
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyCollection<ContentInfo> List()
    {
        lock (_gate) return [.. _whole.Values];
    }

    /// <summary>Takes room for bytes that are about to be written.</summary>
    internal void Reserve(long count)
    {
        if (Interlocked.Add(ref _used, count) <= _totalMax) return;
        Release(count);
        throw new ContentException(ContentError.Full, $"the {_totalMax} bytes of disk given to large bodies are all in use");
    }

    /// <summary>Gives room back.</summary>
    internal void Release(long count) => Interlocked.Add(ref _used, -count);

    /// <summary>Whether a body is kept whole.</summary>
    internal bool IsWhole(ContentHash hash)
    {
        lock (_gate) return _whole.ContainsKey(hash);
    }

    /// <summary>Gives a body on stable storage its name; its room stays taken, once.</summary>
    internal void Name(string path, ContentHash hash, long size)
    {
        lock (_gate)
        {
            if (_whole.TryGetValue(hash, out var info))
            {
                File.Delete(path);
                Release(size);
            }
            else
            {
                File.Move(path, PathOf(hash));
                _whole[hash] = info = new ContentInfo(hash, size, default);
            }

            Touch(info);
        }

        LinuxFile.SyncDirectory(_directory);
    }

    /// <summary>The writer of a body whose hash was known is gone and leaves so many bytes, whose room is taken.</summary>
    internal void Leave(ContentHash hash, long length)
    {
        lock (_gate)
        {
            if (length > 0) _partial[hash] = length;
            else _partial.Remove(hash);
            _busy.Remove(hash);
        }
    }

    /// <summary>The exception for an error of the system.</summary>
    internal static ContentException Translated(Exception e) => e is IOException io && LinuxFile.IsFull(io)
        ? new ContentException(ContentError.Full, "the disk that keeps large bodies is full", e)
        : new ContentException(ContentError.Failed, $"a large body could not be kept or read: {e.Message}", e);

    private void Touch(ContentInfo info)
    {
        var now = _time.GetUtcNow();
        _whole[info.Hash] = info with { At = now };
        File.SetLastWriteTimeUtc(PathOf(info.Hash), now.UtcDateTime);
    }

    private void RemovePartial(ContentHash hash)
    {
        if (!_partial.TryGetValue(hash, out var length)) return;
        File.Delete(PathOf(hash) + PartEnding);
        _partial.Remove(hash);
        Release(length);
    }

    private string PathOf(ContentHash hash) => Path.Combine(_directory, hash.ToString());

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
