using Cheops.Raft;
using Cheops.Raft.Founding;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Groups;

/// <summary>What a group writes forward is all that it needs, at whatever moment.</summary>
public sealed class GroupLogForwardingTests
{
    private readonly MemoryOperationLog _log = new();

    private static FoundingRecord Founding(int generation) =>
        FoundingRules.Begin([new RosterEntry("A", Incarnation.Of("A-1")), new RosterEntry("B", Incarnation.Of("B-1"))], false, "A") with { IsOpen = true, Generation = generation };

    [Fact]
    public async Task A_snapshot_that_is_being_taken_over_and_the_newest_roster_are_known_after_a_crash()
    {
        var id = Founding(1).Founding.Id;
        var group = new GroupLog(id, _log, new RecoveredGroup(), new RecentBudget(), 0);
        await group.RecordFoundingAsync(Founding(1));
        await group.VoteAsync(3, "B");
        await group.TakeAsync(1, [LoggedEntry.Make(3, EntryKind.Proposed, 0, "one"u8)]);
        await group.RecordRestoringAsync(10, 3);
        await group.RecordFoundingAsync(Founding(2));

        // Whoever forwards may have looked at the roster before it was changed.
        var before = _log.DurableUntil;
        var oldest = await group.ForwardAsync(before, 1, Founding(1));
        Assert.True(oldest >= before);
        await _log.TruncateAsync(oldest);

        var recovery = new GroupLogRecovery();
        var log = _log.Crash(new Random(1), recovery.Visit);
        var recovered = recovery.Groups[id];
        recovered.Complete();
        Assert.Equal((10L, 3L), recovered.Restoring);
        Assert.Equal(2, recovered.Founding!.Generation);
        Assert.Equal((3L, "B"), (recovered.Term, recovered.VotedFor));
        Assert.Equal((1L, 1L), (recovered.Entries.First, recovered.Entries.Last));

        // And after another one, when it was written forward by who had only found it.
        oldest = await new GroupLog(id, log, recovered, new RecentBudget(), 0).ForwardAsync(log.DurableUntil, 1, recovered.Founding);
        await log.TruncateAsync(oldest);
        recovery = new GroupLogRecovery();
        log.Crash(new Random(2), recovery.Visit);
        recovery.Groups[id].Complete();
        Assert.Equal((10L, 3L), recovery.Groups[id].Restoring);
    }

    [Fact]
    public async Task What_would_be_written_again_is_told_before()
    {
        var id = Founding(1).Founding.Id;
        var group = new GroupLog(id, _log, new RecoveredGroup(), new RecentBudget(), 0);
        await group.RecordFoundingAsync(Founding(1));
        for (var index = 1; index <= 10; index++) await group.TakeAsync(index, [LoggedEntry.Make(1, EntryKind.Proposed, 0, new byte[1000])]);
        await group.CommitAsync(10);
        var before = _log.DurableUntil;
        foreach (var neededFrom in new[] { 11, 8, 1 })
        {
            var told = await group.SizeToForwardAsync(before, neededFrom, long.MaxValue);
            var tail = _log.Tail;
            if (neededFrom == 1) await group.ForwardAsync(before, neededFrom, Founding(1));
            Assert.InRange(told, Math.Max(_log.Tail - tail, (11 - neededFrom) * 1000), ((11 - neededFrom) * 1200) + 1000);
        }

        Assert.InRange(await group.SizeToForwardAsync(_log.DurableUntil, 1, 2000), 2001, 5000);
    }
}
