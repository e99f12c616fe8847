using Cheops.Proto;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>
/// How much may be in flight on a bulk link. It grows while acknowledgements come as fast as they ever do, and shrinks
/// when they begin to queue: a slow line then holds a few chunks (so that what is urgent is not stuck behind seconds of
/// bulk in a kernel's buffers), a fast one as many as it needs. The idea is that of TCP Vegas (Brakmo, Peterson 1995).
/// </summary>
internal sealed class BulkWindow
{
    private readonly Queue<(ulong Sequence, int Bytes, long SentAtUs)> _inFlight = new();
    private long _reserved;
    private long _leastDelayUs = long.MaxValue;
    private long _leastSinceUs;
    private long _shrunkAtUs;
    private bool _fast = true;

    /// <summary>Bytes that may be in flight.</summary>
    public long Size { get; private set; } = Bounds.BulkWindowStartSize;

    /// <summary>Bytes that may be sent now.</summary>
    public long Room => Size - _reserved;

    /// <summary>When the oldest chunk in flight was sent; null when there is none.</summary>
    public long? OldestSentAtUs => _inFlight.TryPeek(out var first) ? first.SentAtUs : null;

    /// <summary>Takes room for a chunk that is about to be sent.</summary>
    public void Reserve(int bytes) => _reserved += bytes;

    /// <summary>Notes that a chunk for which room was taken is on its way.</summary>
    public void OnSent(ulong sequence, int bytes, long nowUs) => _inFlight.Enqueue((sequence, bytes, nowUs));

    /// <summary>Notes that the peer has received everything up to a sequence.</summary>
    public void OnAcknowledged(ulong upTo, long nowUs)
    {
        long bytes = 0;
        long delayUs = 0;
        while (_inFlight.TryPeek(out var first) && first.Sequence <= upTo)
        {
            bytes += first.Bytes;
            delayUs = nowUs - first.SentAtUs;
            _inFlight.Dequeue();
        }

        if (bytes == 0) return;
        _reserved -= bytes;
        if (delayUs > 0) Adapt(bytes, delayUs, nowUs);
    }

    private void Adapt(long bytes, long delayUs, long nowUs)
    {
        // The least delay is forgotten now and then: a route may have become longer for good.
        if (delayUs <= _leastDelayUs || nowUs - _leastSinceUs > 30_000_000)
        {
            _leastDelayUs = delayUs;
            _leastSinceUs = nowUs;
        }

        var queuedUs = delayUs - _leastDelayUs;
        if (queuedUs > Math.Max(40_000, _leastDelayUs))
        {
            _fast = false;
            if (nowUs - _shrunkAtUs < delayUs) return;
            _shrunkAtUs = nowUs;
            Size = Math.Max(Bounds.BulkWindowSizeMin, Size * 3 / 4);
        }
        else if (queuedUs < Math.Max(20_000, _leastDelayUs / 2))
        {
            Size = Math.Min(Bounds.BulkWindowSizeMax, Size + (_fast ? bytes : Math.Max(1, bytes * Bounds.StreamChunkSizeMax / Size)));
        }
    }
}
