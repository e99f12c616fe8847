using Cheops.Raft.Simulated;
using Xunit.Abstractions;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Sites that replicate, crash and lose answers: everything once, everywhere, in one order.</summary>
public sealed class GroupRunnerTests(ITestOutputHelper output)
{
    [Fact]
    public async Task What_was_executed_before_a_crash_is_looked_for_although_it_comes_after_the_replay()
    {
        using var all = new SimulatedReplicas(1, new SimulatedFaults { ForgetsCommit = true });
        foreach (var site in all.Sites) site.Start();
        await Pass(all, all.Sites[0].FoundAsync());
        all.Sites[0].Things.Executed = all.Sites[0].Crash;
        _ = Quiet(all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.UntilAsync("it crashed when it had executed", () => !all.Sites[0].IsUp);
        all.Sites[0].Things.Executed = null;
        all.Sites[0].Start();
        await QuietAsync(all);
        Assert.All(all.Sites, site => Assert.Equal(["made"], site.Things.ThingsOf("a")));
    }

    [Fact]
    public async Task What_is_recorded_further_on_in_the_log_is_not_executed_again_after_a_crash()
    {
        using var all = new SimulatedReplicas(1, new SimulatedFaults { ForgetsCommit = true });
        foreach (var site in all.Sites) site.Start();
        await Pass(all, all.Sites[0].FoundAsync());
        await Pass(all, all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await QuietAsync(all);
        var metaId = all.Sites[0].Runner!.Look(state => state.RecentlyFinished.Single().Key.MetaId);
        for (var number = 2; number <= 20; number++) await Pass(all, all.Sites[0].Runner!.SubmitAsync(all.Put(number, "Site1", metaId, "a", $"v{number}"), CancellationToken.None));
        await QuietAsync(all);
        var sent = all.Sites[1].Things.Changes;
        all.Sites[1].Crash();
        all.Sites[1].Start();
        await QuietAsync(all);
        Assert.Equal(["v20"], all.Sites[1].Things.ThingsOf("a"));
        Assert.Equal(sent, all.Sites[1].Things.Changes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Nothing_is_lost_or_doubled_when_sites_crash(int seed)
    {
        output.WriteLine($"seed {seed}");
        using var all = new SimulatedReplicas(seed, new SimulatedFaults { LeaderLostPerMille = 30, ForgetsCommit = seed % 2 == 1 });
        var chance = new Random(seed);
        foreach (var site in all.Sites) site.Start();
        await Pass(all, all.Sites[0].FoundAsync());
        foreach (var site in all.Sites) site.Things.LostPerMille = 20;
        for (var number = 1; number <= 60; number++)
        {
            var site = all.Sites[chance.Next(3)];
            if (site.IsUp) _ = Quiet(site.Runner!.SubmitAsync(all.Create(number, site.Name, $"k{number}"), CancellationToken.None));
            for (var i = chance.Next(10); i > 0; i--) await all.PassAsync();
            if (chance.Next(6) == 0) site.Crash();
            foreach (var down in all.Sites.Where(one => !one.IsUp && chance.Next(4) == 0)) down.Start();
        }

        foreach (var site in all.Sites)
        {
            site.Things.LostPerMille = 0;
            if (!site.IsUp) site.Start();
        }

        await QuietAsync(all);
        for (var number = 1; number <= 60; number++)
        {
            var copies = all.Sites.Select(site => site.Things.ThingsOf($"k{number}").Count).Distinct().ToArray();
            Assert.True(copies is [0 or 1], $"k{number}: {string.Join(", ", all.Sites.Select(site => site.Things.ThingsOf($"k{number}").Count))}");
        }
    }

    private static Task QuietAsync(SimulatedReplicas all) => all.UntilAsync(
        "everything is done everywhere",
        () =>
        {
            var last = all.Sites.Max(site => site.Runner!.AppliedIndex);
            return all.Sites.All(site => site.Runner!.AppliedIndex == last && site.Runner.Look(state => state.OpenCount == 0));
        });

    private static async Task Pass(SimulatedReplicas all, Task task)
    {
        await all.UntilAsync("it completes", () => task.IsCompleted);
        await task;
    }

    private static async Task Quiet(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The proposal was lost, with its site or its leader: nobody was told that it is done.
        }
    }
}
