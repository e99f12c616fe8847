using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

public sealed class MemoryReplicantTableTests : ReplicantTableContract
{
    protected override IReplicantTable Make() => new MemoryReplicantTable();

    protected override Task<IReplicantTable> CrashAsync(IReplicantTable table, Random chance) =>
        Task.FromResult<IReplicantTable>(((MemoryReplicantTable)table).Crash());

    protected override void Limit(IReplicantTable table, bool isFull) =>
        ((MemoryReplicantTable)table).Capacity = isFull ? table.DiskBytes + 10_000 : long.MaxValue;

    protected override void Break(IReplicantTable table) => ((MemoryReplicantTable)table).Fail();

    [Fact]
    public async Task Damage_to_order_is_told_and_leaves_nothing()
    {
        Table.Put(Key(1), [1]);
        await Table.CheckpointAsync(Key(1));
        Table = ((MemoryReplicantTable)Table).Crash("a bit was flipped");
        Assert.Equal("a bit was flipped", Table.Damage);
        Assert.Equal(0, Table.Count);
        Assert.True(Table.Mark.IsEmpty);
    }
}
