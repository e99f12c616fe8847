using Cheops.Proto;

namespace Cheops.Store.Contents;

/// <summary>The in-memory twin of <see cref="FileContentStore"/>, with faults to order.</summary>
/// <param name="time">Tells when bodies are completed and opened.</param>
public sealed class MemoryContentStore(TimeProvider time) : IContentStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ContentHash, (byte[] Bytes, DateTimeOffset At)> _whole = [];
    private readonly Dictionary<ContentHash, MemoryStream> _partial = [];
    private readonly HashSet<ContentHash> _busy = [];
    private long _used;

    /// <summary>Bytes of all bodies that there is room for.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <summary>Makes every write fail as a broken disk does, while set.</summary>
    public bool FailWrites { get; set; }

    /// <summary>Makes every read fail, while set.</summary>
    public bool FailReads { get; set; }

    /// <summary>Bytes of all bodies at this moment, whole and partial.</summary>
    public long UsedBytes => _used;

    /// <summary>The power goes: gives the store as the next start finds it, and lets nothing more be written to this one.</summary>
    /// <param name="chance">How much of each partial body is there.</param>
    public MemoryContentStore Crash(Random chance)
    {
        lock (_gate)
        {
            FailWrites = true;
            var after = new MemoryContentStore(time) { Capacity = Capacity };
            foreach (var (hash, body) in _whole) after._whole.Add(hash, body);
            foreach (var (hash, partial) in _partial)
            {
                var bytes = partial.ToArray();
                after._partial.Add(hash, Stream(bytes.AsSpan(0, chance.Next(bytes.Length + 1))));
            }

            after._used = after._whole.Values.Sum(b => b.Bytes.LongLength) + after._partial.Values.Sum(p => p.Length);
            return after;
        }
    }

    /// <inheritdoc/>
    public ContentWriter Create() => new Writer(this, null, Bounds.ContentSizeMax, new MemoryStream(), isWhole: false);

    /// <inheritdoc/>
    public ContentWriter Resume(ContentHash hash, long size)
    {
        if (size is < 0 or > Bounds.ContentSizeMax) throw new ContentException(ContentError.TooLarge, $"a body has at most {Bounds.ContentSizeMax} bytes, not {size}");
        lock (_gate)
        {
            if (!_busy.Add(hash)) throw new ContentException(ContentError.Busy, $"the body {hash} is being received already");
            if (_whole.TryGetValue(hash, out var whole)) return new Writer(this, hash, size, Stream(whole.Bytes), isWhole: true);
            if (!_partial.TryGetValue(hash, out var partial)) _partial.Add(hash, partial = new MemoryStream());
            return new Writer(this, hash, size, partial, isWhole: false);
        }
    }

    /// <inheritdoc/>
    public ContentReader? Open(ContentHash hash)
    {
        lock (_gate)
        {
            if (!_whole.TryGetValue(hash, out var body)) return null;
            _whole[hash] = body with { At = time.GetUtcNow() };
            return new Reader(this, body.Bytes);
        }
    }

    /// <inheritdoc/>
    public void Remove(ContentHash hash)
    {
        lock (_gate)
        {
            if (_whole.Remove(hash, out var body)) _used -= body.Bytes.Length;
            if (!_busy.Contains(hash) && _partial.Remove(hash, out var partial)) _used -= partial.Length;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyCollection<ContentInfo> List()
    {
        lock (_gate) return [.. _whole.Select(b => new ContentInfo(b.Key, b.Value.Bytes.LongLength, b.Value.At))];
    }

    private static MemoryStream Stream(ReadOnlySpan<byte> bytes)
    {
        var stream = new MemoryStream();
        stream.Write(bytes);
        return stream;
    }

    private static void ThrowIfBroken(bool fails)
    {
        if (fails) throw new ContentException(ContentError.Failed, "the simulated disk fails");
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Writer(MemoryContentStore store, ContentHash? promised, long sizeMax, MemoryStream bytes, bool isWhole) : ContentWriter
    {
        private bool _isOver;
        private bool _isDisposed;

        public override long Length => bytes.Length;

        public override ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation = default)
        {
            cancellation.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_isDisposed || _isOver, this);
            if (bytes.Length + data.Length > sizeMax) throw new ContentException(ContentError.TooLarge, $"the body is longer than {sizeMax} bytes");
            lock (store._gate)
            {
                ThrowIfBroken(store.FailWrites);
                if (store._used + data.Length > store.Capacity) throw new ContentException(ContentError.Full, "the simulated disk is full");
                store._used += data.Length;
                bytes.Write(data.Span);
            }

            return ValueTask.CompletedTask;
        }

        public override ValueTask<ContentHash> CompleteAsync(CancellationToken cancellation = default)
        {
            cancellation.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_isDisposed || _isOver, this);
            lock (store._gate)
            {
                ThrowIfBroken(store.FailWrites);
                _isOver = true;
                var body = bytes.ToArray();
                var hash = ContentHash.Of(body);
                if (promised is { } expected)
                {
                    store._partial.Remove(expected);
                    if (hash != expected || body.Length != sizeMax) Refuse(expected, hash);
                }

                if (store._whole.ContainsKey(hash) && !isWhole) store._used -= body.Length;
                store._whole[hash] = (body, store.Now());
                return ValueTask.FromResult(hash);
            }
        }

        private void Refuse(ContentHash expected, ContentHash hash)
        {
            store._used -= bytes.Length;
            throw new ContentException(ContentError.WrongHash, $"the {bytes.Length} bytes received for the body {expected} have the hash {hash}");
        }

        public override ValueTask DisposeAsync()
        {
            if (_isDisposed) return ValueTask.CompletedTask;
            _isDisposed = true;
            lock (store._gate)
            {
                if (promised is { } hash) store._busy.Remove(hash);
                else if (!_isOver) store._used -= bytes.Length;
            }

            return ValueTask.CompletedTask;
        }
    }

    private DateTimeOffset Now() => time.GetUtcNow();

    private sealed class Reader(MemoryContentStore store, byte[] bytes) : ContentReader
    {
        public override long Size => bytes.Length;

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation = default)
        {
            cancellation.ThrowIfCancellationRequested();
            ThrowIfBroken(store.FailReads);
            var count = (int)Math.Clamp(bytes.Length - offset, 0, destination.Length);
            if (count > 0) bytes.AsMemory((int)offset, count).CopyTo(destination);
            return ValueTask.FromResult(count);
        }

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
