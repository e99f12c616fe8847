using System.Collections.Concurrent;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What a site has carried out is told, whatever the clock does.</summary>
public sealed class AppliedReportsTests
{
    [Fact]
    public async Task What_is_added_is_proposed_also_when_the_time_of_gathering_is_over_at_once()
    {
        var proposed = new ConcurrentQueue<OperationId>();
        var reports = new AppliedReports("Site1", ProposeAsync, new HastyTime());
        for (var number = 1; number <= 3; number++) await reports.AddAsync(new OperationId((UInt128)number), new ServiceResult(200, "", ""));
        Assert.Equal([1, 2, 3], proposed.Select(id => (int)id.Value));

        Task ProposeAsync(AppliedManyEntry entry)
        {
            foreach (var (id, _) in entry.Applied) proposed.Enqueue(id);
            return Task.CompletedTask;
        }
    }

    // Its timers are due before whoever sets one goes on, as on a machine that stands still for a while.
    private sealed class HastyTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            callback(state);
            return new Fired();
        }

        private sealed class Fired : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => default;
        }
    }
}
