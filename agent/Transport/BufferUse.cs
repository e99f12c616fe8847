namespace Cheops.Agent.Transport;

/// <summary>
/// Says when a buffer may go back to its pool: a channel can be disposed of while the system still fills or sends one,
/// and a buffer given back then would carry one connection's bytes into another.
/// </summary>
internal struct BufferUse
{
    private const int Busy = 1, Released = 2;

    private int _state;

    /// <summary>Whether the owner was disposed of.</summary>
    public readonly bool IsReleased => (_state & Released) != 0;

    /// <summary>Begins an operation on the buffer; false when the owner was disposed of.</summary>
    public bool TryBegin() => (Interlocked.Or(ref _state, Busy) & Released) == 0;

    /// <summary>Ends the operation.</summary>
    /// <returns>Whether the owner was disposed of meanwhile, so that the buffer is to go back now.</returns>
    public bool End() => (Interlocked.And(ref _state, ~Busy) & Released) != 0;

    /// <summary>Disposes of the owner; false when that was done before.</summary>
    /// <param name="idle">Whether no operation is under way, so that the buffer can go back at once.</param>
    public bool TryRelease(out bool idle)
    {
        var before = Interlocked.Or(ref _state, Released);
        idle = (before & Busy) == 0;
        return (before & Released) == 0;
    }
}
