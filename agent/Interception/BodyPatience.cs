using Cheops.Proto;

namespace Cheops.Agent.Interception;

/// <summary>
/// How long a sender may still keep the agent waiting within one body. It begins with <see cref="Bounds.BodyStallTimeMaxMs"/>;
/// waiting spends it, and what comes gives it back at <see cref="Bounds.BodyRateMin"/>, never past that. So a body at that rate or
/// above may take for ever, one of single bytes ends soon, and time for which nobody waits costs nothing.
/// </summary>
internal struct BodyPatience
{
    // In milliseconds times the rate: whole numbers, of which a byte gives back a thousand.
    private const long Whole = (long)Bounds.BodyStallTimeMaxMs * Bounds.BodyRateMin;

    private long _left = Whole;

    public BodyPatience()
    {
    }

    /// <summary>What is left, in milliseconds; 0 when it is spent.</summary>
    public readonly int LeftMs => (int)(_left / Bounds.BodyRateMin);

    /// <summary>It was waited for.</summary>
    /// <param name="ms">How long, in milliseconds.</param>
    public void Waited(long ms) => _left = Math.Max(0, _left - (ms * Bounds.BodyRateMin));

    /// <summary>Something came.</summary>
    /// <param name="bytes">How many bytes of data.</param>
    public void Came(int bytes) => _left = Math.Min(Whole, _left + (bytes * 1000L));
}
