using Cheops.Agent.Interception;
using Cheops.Agent.Replication;
using Cheops.Proto;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Turns at one service.</summary>
public sealed class ServiceLineTests
{
    private static readonly ServiceReply Answered = new(ReplyKind.Answered, new KeptAnswer(200, default, default), "");
    private static readonly ServiceReply NotReached = new(ReplyKind.NotReached, null, "it is down");

    private readonly FakeTimeProvider _time = new();
    private readonly ServiceLine _line;

    public ServiceLineTests() => _line = new ServiceLine(_time, CancellationToken.None);

    [Fact]
    public async Task What_clients_wait_for_does_not_stand_behind_what_follows()
    {
        var following = Enumerable.Range(0, Bounds.OperationsUnderWayMax + 2).Select(_ => _line.FollowAsync()).ToArray();
        Assert.Equal(Bounds.OperationsUnderWayMax, following.Count(one => one.IsCompleted));
        Assert.NotNull(await _line.DecideAsync());

        // In the order in which they asked.
        (await following[0]).Dispose();
        Assert.Equal((true, false), (following[^2].IsCompleted, following[^1].IsCompleted));
    }

    [Fact]
    public async Task Who_has_no_turn_in_time_leaves_the_line()
    {
        var turns = new List<Turn?>();
        for (var i = 0; i < Bounds.OperationsUnderWayMax; i++) turns.Add(await _line.DecideAsync());
        var late = _line.DecideAsync();
        _time.Advance(TimeSpan.FromMilliseconds(Bounds.OperationTurnMaxMs - 1));
        var next = _line.DecideAsync();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Null(await late);
        turns[0]!.Dispose();
        Assert.NotNull(await next);
        Assert.False(_line.DecideAsync().IsCompleted);
    }

    [Fact]
    public async Task A_service_that_is_not_reached_is_tried_by_one_operation_at_a_time_after_growing_pauses()
    {
        // Of many that find it away at once, all say the same.
        var first = Enumerable.Range(0, 5).Select(_ => _line.FollowAsync()).ToArray();
        foreach (var one in first)
        {
            _line.Tell(NotReached);
            (await one).Dispose();
        }

        Assert.Equal("it is down", _line.WhyNotReached);
        var waiting = Enumerable.Range(0, 20).Select(_ => _line.FollowAsync()).ToArray();
        var tried = 0;
        foreach (var pause in (int[])[100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000])
        {
            await PassAsync(pause - 1);
            Assert.Equal(tried, waiting.Count(one => one.IsCompleted));
            await PassAsync(1, () => waiting.Count(one => one.IsCompleted) > tried);
            Assert.Equal(++tried, waiting.Count(one => one.IsCompleted));
            _line.Tell(NotReached);
            (await waiting[tried - 1]).Dispose();
        }

        // It is there again: all go on, and the first pause is short again.
        _line.Tell(Answered);
        Assert.Null(_line.WhyNotReached);
        Assert.All(waiting, one => Assert.True(one.IsCompleted));
        _line.Tell(NotReached);
        var after = _line.FollowAsync();
        await PassAsync(99);
        Assert.False(after.IsCompleted);
        await PassAsync(1, () => after.IsCompleted);
    }

    [Fact]
    public async Task A_try_that_takes_its_time_does_not_hold_up_the_others()
    {
        _line.Tell(NotReached);
        var (slow, other) = (_line.FollowAsync(), _line.FollowAsync());
        await PassAsync(100, () => slow.IsCompleted);
        Assert.False(other.IsCompleted);
        await PassAsync(200, () => other.IsCompleted);
    }

    [Fact]
    public async Task What_a_client_waits_for_is_sent_to_a_service_that_was_not_reached_and_finds_it()
    {
        _line.Tell(NotReached);
        var following = _line.FollowAsync();
        Assert.NotNull(await _line.DecideAsync());
        Assert.False(following.IsCompleted);
        _line.Tell(Answered);
        Assert.True(following.IsCompleted);
    }

    [Fact]
    public async Task Very_many_that_are_tried_again_are_tried_one_after_the_other()
    {
        var pauses = Enumerable.Range(0, 10).Select(_ => _line.PauseAsync(100)).ToArray();
        await PassAsync(100, () => pauses.Any(one => one.IsCompleted));
        for (var i = 1; i < pauses.Length; i++)
        {
            Assert.Equal(i, pauses.Count(one => one.IsCompleted));
            await PassAsync(Bounds.RetrySpacingMs, () => pauses.Count(one => one.IsCompleted) > i);
        }
    }

    // What becomes due goes on on the pool of threads.
    private async Task PassAsync(int ms, Func<bool>? until = null)
    {
        for (var settled = 0; settled < 20; settled++) await Task.Yield();
        _time.Advance(TimeSpan.FromMilliseconds(ms));
        var waited = System.Diagnostics.Stopwatch.StartNew();
        while (until?.Invoke() == false)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), "not within 60 s");
            await Task.Delay(1);
        }
    }
}
