using System.Collections.Concurrent;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Unit.Replication;

/// <summary>A site that was started again, whose log may go further than it knows.</summary>
public sealed class RestartedRunnerTests
{
    // What it has applied, and recorded as applied, was changed by a later operation since: a look at the service would tell that it
    // has not done the earlier one, which done again undid the later one.
    [Fact]
    public async Task Nothing_is_looked_for_or_sent_before_the_group_has_told_what_it_has_committed()
    {
        using var all = new SimulatedReplicas(1);
        var (site, group) = (all.Sites[1], new HeldBarrier());
        var (isAsked, sent) = (false, 0);
        site.Things.Instead = (_, _) =>
        {
            sent++;
            return null;
        };
        group.Asked = () => isAsked = true;
        var (runner, _) = site.ByHand(group);
        var put = all.Put(2, "Site1", "m", "a", "earlier");
        await runner.ApplyAsync(1, new ProposedEntry(put).Encode(), isReplay: true);
        await runner.ApplyAsync(2, new OutcomeEntry(put.Id, "Site1", Decision.Accepted, "", new ServiceResult(200, "", "")).Encode(), isReplay: true);
        await runner.ReplayedAsync(2);
        await all.UntilAsync("the group is asked", () => isAsked);

        // Long after whatever an earlier run has sent is over.
        for (var passed = 0; passed < 2 * Bounds.AbandonedTimeMaxMs; passed += 5) await all.PassAsync();
        Assert.Equal(0, sent);

        await runner.ApplyAsync(3, new AppliedEntry(put.Id, "Site2", SiteResult.Applied, new ServiceResult(200, "", "")).Encode(), isReplay: false);
        group.Pass();
        await all.UntilAsync("it goes on", () => runner.Look(state => state.TryFind(put.Id, out var now) && now.StepAt("Site2") == SiteStep.Applied));
        for (var passed = 0; passed < Bounds.AbandonedTimeMaxMs; passed += 5) await all.PassAsync();
        Assert.Equal(0, sent);
    }

    // What it proposed in an earlier life may be committed yet, and says what it knew then.
    [Fact]
    public async Task The_deciding_site_claims_the_decision_anew_before_it_looks_or_sends()
    {
        using var all = new SimulatedReplicas(1);
        var (site, group, done, index) = (all.Sites[0], new HeldBarrier(), new ConcurrentQueue<string>(), 1L);
        site.Things.Instead = (_, _) =>
        {
            done.Enqueue("asks the service");
            return null;
        };
        var (runner, _) = site.ByHand(group);
        group.Proposed = async entry =>
        {
            done.Enqueue(GroupEntry.Decode(entry) is DeciderEntry ? "claims" : "records");
            await runner.ApplyAsync(Interlocked.Increment(ref index), entry, isReplay: false);
            return index;
        };
        await runner.ApplyAsync(1, new ProposedEntry(all.Create(1, "Site1", "a")).Encode(), isReplay: true);
        await runner.ReplayedAsync(1);
        group.Pass();
        await all.UntilAsync("what came of it is recorded", () => done.Contains("records"));
        Assert.Equal("claims", done.First());
        Assert.Contains("asks the service", done);
    }
}
