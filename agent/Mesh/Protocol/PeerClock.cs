namespace Cheops.Agent.Mesh.Protocol;

/// <summary>
/// Tells how late a message is without the two clocks agreeing: the least difference between arrival and sending that
/// was seen in the last minutes is taken for a message that was not delayed.
/// </summary>
internal sealed class PeerClock
{
    private const long EpochUs = 60_000_000;

    private long _least = long.MaxValue;
    private long _leastBefore = long.MaxValue;
    private long _epochUs;
    private uint _lastSentMs;
    private long _wraps;

    /// <summary>Forgets the peer's clock.</summary>
    public void Reset()
    {
        _least = _leastBefore = long.MaxValue;
        _lastSentMs = 0;
        _wraps = 0;
    }

    /// <summary>How many milliseconds later than the fastest messages one arrives now that was sent at <paramref name="sentMs"/>.</summary>
    public long LatenessMs(uint sentMs, long nowUs)
    {
        // The sender's counter wraps after 49 days; a step back by more than half of it is a wrap.
        if (sentMs < _lastSentMs && _lastSentMs - sentMs > uint.MaxValue / 2) _wraps++;
        if (sentMs > _lastSentMs || _lastSentMs - sentMs > uint.MaxValue / 2) _lastSentMs = sentMs;
        var difference = nowUs / 1000 - (sentMs + _wraps * (1L << 32));

        // Two epochs are kept, so that clocks may drift apart and the least is still never forgotten all at once.
        if (nowUs - _epochUs > EpochUs)
        {
            _epochUs = nowUs;
            _leastBefore = _least;
            _least = long.MaxValue;
        }

        _least = Math.Min(_least, difference);
        return difference - Math.Min(_least, _leastBefore);
    }
}
