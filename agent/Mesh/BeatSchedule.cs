using Cheops.Proto;

namespace Cheops.Agent.Mesh;

/// <summary>
/// When the heartbeats of one link are due, counted in ticks of <see cref="Bounds.LinkTickMs"/>: from a chance beginning on
/// every <see cref="Bounds.HeartbeatMs"/> or one tick earlier, so that many sites that started together do not beat together.
/// </summary>
/// <param name="chance">Decides; used by one thread at a time unless it can be used by several.</param>
internal sealed class BeatSchedule(Random chance)
{
    private const int TicksMax = Bounds.HeartbeatMs / Bounds.LinkTickMs;

    private int _ticksLeft = chance.Next(1, TicksMax + 1);

    /// <summary>Counts a tick; whether a heartbeat is due with it.</summary>
    public bool Tick()
    {
        if (--_ticksLeft > 0) return false;
        _ticksLeft = chance.Next(TicksMax - 1, TicksMax + 1);
        return true;
    }
}
