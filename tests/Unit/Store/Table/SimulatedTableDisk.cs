using Cheops.Store.Log.Segments;
using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>The disk under a table, simulated: both kinds of its files lose their power at one moment.</summary>
internal sealed class SimulatedTableDisk(ReplicantTableOptions options)
{
    private (MemorySegmentFiles Log, MemorySegmentFiles Checkpoints)? _after;
    private int _stepsLeft = -1;
    private Random? _chance;

    /// <summary>The files of the table's log.</summary>
    public MemorySegmentFiles Log { get; private set; } = new((int)options.SegmentSize);

    /// <summary>The files of its checkpoints.</summary>
    public MemorySegmentFiles Checkpoints { get; private set; } = new(FasterReplicantTable.CheckpointSegmentSize);

    /// <summary>How often the disk was asked to change.</summary>
    public int Steps { get; private set; }

    /// <summary>Opens the table that is on it.</summary>
    public FasterReplicantTable Open(ulong secret = 7) =>
        FasterReplicantTable.Open(new PoweredFiles(Log, Step), new PoweredFiles(Checkpoints, Step), options, secret);

    /// <summary>Cuts the power before the step after so many; what chance leaves of that moment is there after <see cref="Crash"/>.</summary>
    public void CutAfter(int steps, Random chance) => (_stepsLeft, _chance) = (steps, chance);

    /// <summary>The power goes, if it has not gone before: from here on there is what the next start finds.</summary>
    public void Crash(Random chance)
    {
        (Log, Checkpoints) = _after ?? (Log.Crash(chance), Checkpoints.Crash(chance));
        (_after, _stepsLeft) = (null, -1);
    }

    private void Step()
    {
        Steps++;
        if (_stepsLeft-- == 0) _after = (Log.Crash(_chance!), Checkpoints.Crash(_chance!));
    }

    /// <summary>Files that tell before they change.</summary>
    private sealed class PoweredFiles(ISegmentFiles files, Action step) : ISegmentFiles
    {
        public long Room => files.Room;

        public IReadOnlyList<int> List() => files.List();

        public void Reserve(int segment)
        {
            step();
            files.Reserve(segment);
        }

        public void Write(int segment, long offset, ReadOnlySpan<byte> bytes)
        {
            step();
            files.Write(segment, offset, bytes);
        }

        public void Read(int segment, long offset, Span<byte> bytes) => files.Read(segment, offset, bytes);

        public void Sync()
        {
            step();
            files.Sync();
        }

        public void Remove(int segment)
        {
            step();
            files.Remove(segment);
        }

        public void WriteSlot(int slot, ReadOnlySpan<byte> bytes)
        {
            step();
            files.WriteSlot(slot, bytes);
        }

        public void ReadSlot(int slot, Span<byte> bytes) => files.ReadSlot(slot, bytes);

        public void Dispose() => files.Dispose();
    }
}
