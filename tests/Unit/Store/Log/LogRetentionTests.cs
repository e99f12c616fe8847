using Cheops.Proto.Operations;
using Cheops.Store.Log;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Log;

public sealed class LogRetentionTests
{
    [Fact]
    public void The_oldest_position_that_any_group_needs_counts() =>
        Gen.Select(Gen.ULong[1, 6], Gen.Long[0, 50]).Array[0, 60].Sample(steps =>
        {
            var retention = new LogRetention();
            var model = new Dictionary<ulong, long>();
            foreach (var (group, position) in steps)
            {
                if (position == 0)
                {
                    retention.Forget(new GroupId(group));
                    model.Remove(group);
                }
                else
                {
                    retention.Keep(new GroupId(group), position);
                    model[group] = position;
                }

                Assert.Equal(model.Count, retention.Count);
                Assert.Equal(model.Count == 0 ? null : model.Values.Min(), retention.Oldest?.Position);
            }
        });

    [Fact]
    public async Task What_no_group_needs_is_let_go_of()
    {
        await using var log = new MemoryOperationLog();
        var retention = new LogRetention();
        await retention.ReclaimAsync(log);
        var (a, b) = (new GroupId(1), new GroupId(2));
        retention.Keep(a, log.Tail);
        retention.Keep(b, log.Tail);
        var positions = new List<long>();
        for (var i = 0UL; i < 10; i++) positions.Add(await log.AppendAsync(new LogRecord { Group = i % 2 == 0 ? a : b, Kind = 1, Index = i }));
        retention.Keep(a, positions[4]);
        retention.Keep(b, positions[7]);
        await retention.ReclaimAsync(log);
        Assert.Equal(positions[4], log.Begin);
        retention.Forget(a);
        await retention.ReclaimAsync(log);
        Assert.Equal(positions[7], log.Begin);
        retention.Keep(b, log.Tail);
        await retention.ReclaimAsync(log);
        Assert.Equal(log.DurableUntil, log.Begin);
    }
}
