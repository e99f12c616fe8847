using Cheops.Store.Log.Segments;
using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>The disk under a table, simulated: both kinds of its files lose their power at one moment.</summary>
internal sealed class SimulatedTableDisk(ReplicantTableOptions options)
{
    /// <summary>The files of the table's log.</summary>
    public MemorySegmentFiles Log { get; private set; } = new((int)options.SegmentSize);

    /// <summary>The files of its checkpoints.</summary>
    public MemorySegmentFiles Checkpoints { get; private set; } = new(FasterReplicantTable.CheckpointSegmentSize);

    /// <summary>Opens the table that is on it.</summary>
    public FasterReplicantTable Open(ulong secret = 7) => FasterReplicantTable.Open(Log, Checkpoints, options, secret);

    /// <summary>The power goes: from here on there is what the next start finds.</summary>
    public void Crash(Random chance) => (Log, Checkpoints) = (Log.Crash(chance), Checkpoints.Crash(chance));
}
