using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Groups;

/// <summary>A leader appends in its own term only: in a later one another site may lead.</summary>
public sealed class GroupLogTermTests
{
    [Fact]
    public async Task In_a_term_that_has_passed_nothing_is_appended()
    {
        var group = new GroupLog(new GroupId(1), new MemoryOperationLog(), new RecoveredGroup(), new RecentBudget(), 0);
        await group.VoteAsync(3, "A");
        Assert.Equal(1, await group.TryAppendAsync(3, EntryKind.Proposed, "one"u8.ToArray()));
        await group.VoteAsync(4, "B");
        Assert.Equal(0, await group.TryAppendAsync(3, EntryKind.Proposed, "late"u8.ToArray()));
        Assert.Equal((1L, 3L), group.Last);
        Assert.Equal(2, await group.TryAppendAsync(4, EntryKind.Proposed, "two"u8.ToArray()));
    }
}
