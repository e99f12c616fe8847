using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Replication;

/// <summary>A site's own notes: what they tell after a crash, and how long they hold the log.</summary>
public sealed class JournalTests
{
    private static readonly GroupId Group = new(7);

    private readonly MemoryOperationLog _log = new();
    private readonly LogRetention _retention = new();

    [Fact]
    public async Task What_was_noted_is_known_after_a_crash()
    {
        var journal = new Journal.Recovery().Open(_log, _retention);
        await journal.SendingAsync(Group, 1, new OperationId(1));
        await journal.SendingAsync(Group, 2, new OperationId(2));
        await journal.AnsweredAsync(new OperationId(2), 201, "17");
        _log.Sync();

        var recovery = new Journal.Recovery();
        var after = recovery.Open(_log.Crash(new Random(1), recovery.Visit), new LogRetention());
        Assert.Equal(0, after.Find(new OperationId(1))!.Status);
        Assert.Equal((201, "17", 2L), (after.Find(new OperationId(2))!.Status, after.Find(new OperationId(2))!.LocalId, after.Find(new OperationId(2))!.Index));
        Assert.Null(after.Find(new OperationId(3)));
    }

    [Fact]
    public async Task What_holds_back_the_log_is_written_forward_and_known_as_before_after_a_crash()
    {
        var journal = new Journal.Recovery().Open(_log, _retention);
        await journal.SendingAsync(Group, 1, new OperationId(1));
        await journal.SendingAsync(Group, 2, new OperationId(2));
        await journal.AnsweredAsync(new OperationId(2), 201, "17");
        var before = _log.DurableUntil;
        await journal.SendingAsync(Group, 3, new OperationId(3));
        Assert.True(await _retention.ForwardAsync(_retention.Oldest!.Value.Group, before));
        await _retention.ReclaimAsync(_log);
        Assert.True(_log.Begin >= before);

        var recovery = new Journal.Recovery();
        var after = recovery.Open(_log.Crash(new Random(1), recovery.Visit), new LogRetention());
        Assert.Equal((0, 1L), (after.Find(new OperationId(1))!.Status, after.Find(new OperationId(1))!.Index));
        Assert.Equal((201, "17", 2L), (after.Find(new OperationId(2))!.Status, after.Find(new OperationId(2))!.LocalId, after.Find(new OperationId(2))!.Index));
        Assert.Equal(0, after.Find(new OperationId(3))!.Status);
    }

    [Fact]
    public async Task What_is_about_to_be_sent_waits_until_that_is_noted_durably()
    {
        var log = new MemoryOperationLog(syncsByItself: false);
        var sending = new Journal.Recovery().Open(log, _retention).SendingAsync(Group, 1, new OperationId(1)).AsTask();
        Assert.False(sending.IsCompleted);
        log.Sync();
        await sending;
    }

    [Fact]
    public async Task What_is_sent_again_is_under_way_again()
    {
        var journal = new Journal.Recovery().Open(_log, _retention);
        await journal.SendingAsync(Group, 1, new OperationId(1));
        await journal.AnsweredAsync(new OperationId(1), 503, "");
        await journal.SendingAsync(Group, 1, new OperationId(1));
        Assert.Equal(0, journal.Find(new OperationId(1))!.Status);
        var recovery = new Journal.Recovery();
        Assert.Equal(0, recovery.Open(_log.Crash(new Random(1), recovery.Visit), new LogRetention()).Find(new OperationId(1))!.Status);
    }

    [Fact]
    public async Task A_note_is_kept_until_its_operation_is_not_applied_again_after_a_crash()
    {
        var journal = new Journal.Recovery().Open(_log, _retention);
        await journal.SendingAsync(Group, 5, new OperationId(1));
        await journal.SendingAsync(new GroupId(8), 2, new OperationId(2));
        journal.ForgetBefore(Group, 5);
        Assert.NotNull(journal.Find(new OperationId(1)));
        journal.ForgetBefore(Group, 6);
        Assert.Null(journal.Find(new OperationId(1)));
        Assert.NotNull(journal.Find(new OperationId(2)));
    }

    [Fact]
    public async Task Notes_hold_the_log_from_the_oldest_on_and_let_go_of_it()
    {
        var journal = new Journal.Recovery().Open(_log, _retention);
        Assert.Null(_retention.Oldest);
        await journal.SendingAsync(Group, 1, new OperationId(1));
        var oldest = _retention.Oldest!.Value.Position;
        await journal.SendingAsync(Group, 2, new OperationId(2));
        await journal.AnsweredAsync(new OperationId(1), 200, "");
        Assert.Equal(oldest, _retention.Oldest!.Value.Position);
        journal.Forget(new OperationId(1));
        Assert.True(_retention.Oldest!.Value.Position > oldest);
        journal.ForgetBefore(Group, 3);
        Assert.Null(_retention.Oldest);
    }
}
