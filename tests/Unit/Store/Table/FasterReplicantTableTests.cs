using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>The table on FASTER over a simulated disk: lost and torn writes, flipped bits, a full and a broken disk.</summary>
public sealed class FasterReplicantTableTests : ReplicantTableContract
{
    private static readonly ReplicantTableOptions Small = new() { PageSizeBits = 14, MemorySizeBits = 17, SegmentSizeBits = 16 };

    private readonly SimulatedTableDisk _disk = new(Small);

    protected override (int Key, int Value) SizesMax => (Small.KeySizeMax, Small.ValueSizeMax);

    protected override IReplicantTable Make() => _disk.Open();

    protected override async Task<IReplicantTable> CrashAsync(IReplicantTable table, Random chance)
    {
        _disk.Crash(chance);
        await table.DisposeAsync();
        return _disk.Open();
    }

    protected override void Limit(IReplicantTable table, bool isFull) =>
        _disk.Log.SegmentsMax = isFull ? _disk.Log.List().Count + 1 : int.MaxValue;

    protected override void Break(IReplicantTable table) => _disk.Log.FailWrites = true;
}
