namespace Cheops.Store.Bodies;

/// <summary>The in-memory twin of <see cref="FileBodyStore"/>, with faults to order.</summary>
/// <param name="capacity">Bytes of all bodies together; past it a body is refused as on a full disk.</param>
public sealed class MemoryBodyStore(long capacity = long.MaxValue) : IBodyStore
{
    private readonly long _capacity = capacity;
    private long _used;

    /// <summary>Bytes kept at this moment.</summary>
    public long UsedBytes => _used;

    /// <summary>Makes every read fail as a broken disk does, while set.</summary>
    public bool FailReads { get; set; }

    /// <inheritdoc/>
    public BodySpool Create() => new Spool(this);

    private sealed class Spool(MemoryBodyStore store) : BodySpool
    {
        private readonly MemoryStream _bytes = new();

        public override long Length => _bytes.Length;

        public override ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            if (store._used + data.Length > store._capacity)
                throw new BodyStoreException(BodyStoreError.Full, "the simulated disk is full");
            store._used += data.Length;
            _bytes.Position = _bytes.Length;
            _bytes.Write(data.Span);
            return ValueTask.CompletedTask;
        }

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            if (store.FailReads) throw new BodyStoreException(BodyStoreError.Failed, "the simulated disk fails");
            _bytes.Position = Math.Min(offset, _bytes.Length);
            return ValueTask.FromResult(_bytes.Read(destination.Span));
        }

        public override ValueTask DisposeAsync()
        {
            store._used -= _bytes.Length;
            _bytes.SetLength(0);
            return ValueTask.CompletedTask;
        }
    }
}
