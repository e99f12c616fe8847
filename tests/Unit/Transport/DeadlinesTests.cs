using Cheops.Agent.Transport;
using Cheops.Proto;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Transport;

/// <summary>Deadlines pass once, not early, and at most two sweeps late.</summary>
public sealed class DeadlinesTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Deadlines _deadlines;

    public DeadlinesTests() => _deadlines = new Deadlines(_time);

    private void Advance(int ms)
    {
        for (var left = ms; left > 0; left -= Bounds.DeadlineSweepMs)
            _time.Advance(TimeSpan.FromMilliseconds(Math.Min(left, Bounds.DeadlineSweepMs)));
    }

    [Fact]
    public void One_passes_once_and_not_early()
    {
        var passed = 0;
        using var deadline = _deadlines.Register(() => passed++);
        Advance(10 * Bounds.DeadlineSweepMs);
        Assert.Equal(0, passed);
        deadline.Arm(1_000);
        Advance(999);
        Assert.Equal(0, passed);
        Advance(1 + 2 * Bounds.DeadlineSweepMs);
        Assert.Equal(1, passed);
        Advance(100_000);
        Assert.Equal(1, passed);
    }

    [Fact]
    public void Moving_one_forgets_where_it_was()
    {
        var passed = 0;
        using var deadline = _deadlines.Register(() => passed++);
        for (var i = 0; i < 20; i++)
        {
            deadline.Arm(1_000);
            Advance(900);
        }

        Assert.Equal(0, passed);
        deadline.Disarm();
        Advance(10_000);
        Assert.Equal(0, passed);
        deadline.Arm(500);
        Advance(1_000);
        Assert.Equal(1, passed);
    }

    [Fact]
    public void None_is_early_or_later_than_two_sweeps_whenever_it_is_armed()
    {
        for (var offset = 0; offset < Bounds.DeadlineSweepMs; offset += 7)
        {
            var passed = false;
            using var deadline = _deadlines.Register(() => passed = true);
            Advance(offset);
            deadline.Arm(1_010);
            Advance(1_009);
            Assert.False(passed);
            Advance(1 + 2 * Bounds.DeadlineSweepMs);
            Assert.True(passed);
        }
    }

    [Fact]
    public void One_can_arm_itself_again_when_it_passes()
    {
        var passed = 0;
        Deadline? deadline = null;
        deadline = _deadlines.Register(() =>
        {
            passed++;
            deadline!.Arm(Bounds.DeadlineSweepMs);
        });
        deadline.Arm(Bounds.DeadlineSweepMs);
        Advance(10 * Bounds.DeadlineSweepMs);
        Assert.InRange(passed, 3, 10);
        deadline.Dispose();
    }

    [Fact]
    public void Ending_one_leaves_the_others()
    {
        var passed = new bool[100];
        var all = Enumerable.Range(0, passed.Length).Select(i => _deadlines.Register(() => passed[i] = true)).ToArray();
        foreach (var deadline in all) deadline.Arm(1_000);
        for (var i = 0; i < all.Length; i += 3) all[i].Dispose();
        all[0].Dispose();
        Advance(2_000);
        for (var i = 0; i < all.Length; i++) Assert.Equal(i % 3 != 0, passed[i]);
    }

    [Fact]
    public void The_time_it_tells_is_that_of_the_last_sweep()
    {
        Assert.Equal(0, _deadlines.NowMs);
        Advance(3 * Bounds.DeadlineSweepMs + 10);
        Assert.Equal(3 * Bounds.DeadlineSweepMs, _deadlines.NowMs);
    }

    public void Dispose() => _deadlines.Dispose();
}
