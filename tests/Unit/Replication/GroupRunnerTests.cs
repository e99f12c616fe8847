using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Cheops.Store.Table;
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
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        all.Sites[0].Things.Executed = all.Sites[0].Crash;
        _ = Quiet(all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.UntilAsync("it crashed when it had executed", () => !all.Sites[0].IsUp);
        all.Sites[0].Things.Executed = null;
        all.Sites[0].Start();
        await all.QuietAsync();
        Assert.All(all.Sites, site => Assert.Equal(["made"], site.Things.ThingsOf("a")));
    }

    [Fact]
    public async Task What_is_recorded_further_on_in_the_log_is_not_executed_again_after_a_crash()
    {
        using var all = new SimulatedReplicas(1, new SimulatedFaults { ForgetsCommit = true });
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        await all.CompleteAsync(all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.QuietAsync();
        var metaId = all.Sites[0].Runner!.Look(state => state.RecentlyFinished.Single().Key.MetaId);
        for (var number = 2; number <= 20; number++) await all.CompleteAsync(all.Sites[0].Runner!.SubmitAsync(all.Put(number, "Site1", metaId, "a", $"v{number}"), CancellationToken.None));
        await all.QuietAsync();
        var sent = all.Sites[1].Things.Changes;
        all.Sites[1].Crash();
        all.Sites[1].Start();
        await all.QuietAsync();
        Assert.Equal(["v20"], all.Sites[1].Things.ThingsOf("a"));
        Assert.Equal(sent, all.Sites[1].Things.Changes);
    }

    [Fact]
    public async Task The_lead_goes_to_the_site_where_operations_come_in_whatever_the_others_record()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        await all.CompleteAsync(all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.QuietAsync();
        Assert.Equal("Site1", all.Sites[1].Runner!.Group!.Status.Leader);
        var metaId = all.Sites[0].Runner!.Look(state => state.RecentlyFinished.Single().Key.MetaId);
        for (var passed = TimeSpan.Zero; passed < new GroupOptions().LeadTimeMin; passed += TimeSpan.FromMilliseconds(5)) await all.PassAsync();
        // Of one operation three sites record what became of it: were that counted, no site would have enough.
        for (var number = 2; number <= 2 * Bounds.GroupLeadOperationsMin; number++)
        {
            await all.CompleteAsync(all.Sites[1].Runner!.SubmitAsync(all.Put(number, "Site2", metaId, "a", $"v{number}"), CancellationToken.None));
            await all.QuietAsync();
        }

        Assert.All(all.Sites, site => Assert.Equal("Site2", site.Runner!.Group!.Status.Leader));
    }

    [Fact]
    public async Task What_a_service_executes_after_its_agent_has_gone_is_not_sent_again()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        var (first, things) = (all.Sites[0], all.Sites[0].Things);
        things.Hangs = true;
        _ = Quiet(first.Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.UntilAsync("it is under way", () => things.Waiting == 1);
        first.Crash();
        things.Hangs = false;
        first.Start();
        for (var ms = 0; ms < Bounds.AbandonedTimeMaxMs - 100; ms += 5) await all.PassAsync();
        things.ExecuteLate();
        await all.QuietAsync();
        Assert.All(all.Sites, site => Assert.Equal(["made"], site.Things.ThingsOf("a")));
    }

    [Fact]
    public async Task What_the_table_has_not_taken_in_is_applied_again_from_its_operation_on()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        var full = all.Sites[1];
        (full.Things.Executed, full.Things.LostPerMille) = (full.FillTable, 1000);
        var submitted = all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None);
        await all.CompleteAsync(submitted);
        var (operation, _) = await submitted;
        await all.UntilAsync("the others have done it", () => StepAt("Site3") == SiteStep.Applied);
        full.Things.LostPerMille = 0;
        await all.UntilAsync("all have done it", () => StepAt("Site2") == SiteStep.Applied && all.Sites[0].Runner!.Look(state => state.OpenCount == 0));
        Assert.True(full.Runner!.ReplayFromNow() <= operation.Index);
        Assert.True(all.Sites[0].Runner!.ReplayFromNow() > operation.Index);

        SiteStep StepAt(string site) => full.Runner!.Look(state => state.TryFind(operation.Id, out var one) ? one.StepAt(site) : SiteStep.Pending);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_was_executed_before_another_site_had_it_refused_is_left_to_a_person(bool isExecuted)
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        var (first, second) = (all.Sites[0], all.Sites[1]);
        (first.Things.Hangs, second.Things.Refuses) = (true, true);
        var create = all.Create(1, "Site1", "a");
        _ = Quiet(first.Runner!.SubmitAsync(create, CancellationToken.None));
        await all.UntilAsync("it is under way", () => first.Things.Waiting == 1);
        first.Crash();
        first.Things.Hangs = false;
        if (isExecuted) first.Things.ExecuteLate();
        await all.CompleteAsync(second.Runner!.ReplaceDeciderAsync("Site1", "Site2"));
        await all.UntilAsync("it is refused", () => second.Runner!.Look(state => state.TryFind(create.Id, out var one) && one.IsRefused));
        Assert.Equal("Site1=pending; Site2=refused; Site3=refused", second.Runner!.Look(state => state.Open.Single().Describe()));
        first.Start();
        await all.UntilAsync("it is told", () => second.Runner.Look(state => !state.TryFind(create.Id, out var one) || one.StepAt("Site1") != SiteStep.Pending));
        Assert.Equal(isExecuted ? 1 : 0, second.Runner.Look(state => state.OpenCount));
        if (isExecuted) await all.CompleteAsync(second.Runner.ResolveAsync(new ResolvedEntry(create.Id, "Site1", Resolve.Skip, ""), CancellationToken.None));
        await all.QuietAsync();
        Assert.All(all.Sites, site => Assert.Equal(site == first && isExecuted ? ["made"] : [], site.Things.ThingsOf("a")));
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
        await all.CompleteAsync(all.Sites[0].FoundAsync());
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

        await all.QuietAsync();
        for (var number = 1; number <= 60; number++)
        {
            var copies = all.Sites.Select(site => site.Things.ThingsOf($"k{number}").Count).Distinct().ToArray();
            Assert.True(copies is [0 or 1], $"k{number}: {string.Join(", ", all.Sites.Select(site => site.Things.ThingsOf($"k{number}").Count))}");
        }
    }

    [Fact]
    public async Task A_snapshot_is_of_the_moment_at_which_its_first_piece_is_asked_for()
    {
        using var all = new SimulatedReplicas(1);
        var (from, _) = all.Sites[0].ByHand();
        var (to, replicants) = all.Sites[1].ByHand();
        await from.ApplyAsync(1, new ProposedEntry(all.Create(1, "Site1", "a")).Encode(), true);
        await from.ApplyAsync(2, new ProposedEntry(all.Create(2, "Site1", "b")).Encode(), true);
        var accepted = new OutcomeEntry(new OperationId(2), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode();
        var pieces = new List<ReadOnlyMemory<byte>>();
        await foreach (var piece in from.CaptureAsync())
        {
            pieces.Add(piece);
            if (pieces.Count == 1) await from.ApplyAsync(3, accepted, true);
        }

        await to.RestoreAsync(2, Each(pieces));
        await to.ApplyAsync(3, accepted, true);
        Assert.Equal("17", replicants.Find(to.Founding.Id, new ReplicantKey("numbers", "/v1/things", "m"))?.LocalIds["Site1"]);
    }

    [Fact]
    public async Task What_a_snapshot_brought_is_there_after_a_start_until_it_is_over()
    {
        using var all = new SimulatedReplicas(1);
        var (from, _) = all.Sites[0].ByHand();
        await from.ApplyAsync(1, new ProposedEntry(all.Create(1, "Site1", "a")).Encode(), true);
        await from.ApplyAsync(2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode(), true);
        await from.ApplyAsync(3, new ProposedEntry(all.Put(2, "Site1", "m", "a", "later")).Encode(), true);
        var pieces = new List<ReadOnlyMemory<byte>>();
        await foreach (var piece in from.CaptureAsync()) pieces.Add(piece);

        // The power goes right after it was restored: the log holds nothing of what it stands for.
        var (to, _) = all.Sites[1].ByHand();
        await to.RestoreAsync(3, Each(pieces));
        Assert.Equal(4, to.ReplayFrom);
        var (again, replicants) = all.Sites[1].ByHand();
        Assert.Equal(4, again.ReplayFrom);
        Assert.Equal(["Site1=applied; Site2=pending; Site3=pending", "Site1=pending; Site2=pending; Site3=pending"], again.Look(state => state.Open.Select(one => one.Describe()).ToArray()));
        Assert.Equal("17", replicants.Find(again.Founding.Id, new ReplicantKey("numbers", "/v1/things", "m"))?.LocalIds["Site1"]);
        Assert.Equal(new OperationId(2), (await again.ReadAsync(again.Look(state => state.Open.Last()))).Id);

        // As long as something of it is open it is kept with the table.
        await again.ApplyAsync(4, new OutcomeEntry(new OperationId(2), "Site1", Decision.Accepted, "", new ServiceResult(200, "", "")).Encode(), true);
        foreach (var site in new[] { "Site2", "Site3" }) await again.ApplyAsync(site == "Site2" ? 5 : 6, new AppliedEntry(new OperationId(1), site, SiteResult.Applied, new ServiceResult(201, "9", "")).Encode(), true);
        await all.Sites[1].CheckpointAsync();
        Assert.Equal((4, 1), (again.ReplayFrom, again.Look(state => state.OpenCount)));
        foreach (var site in new[] { "Site2", "Site3" }) await again.ApplyAsync(site == "Site2" ? 7 : 8, new AppliedEntry(new OperationId(2), site, SiteResult.Applied, new ServiceResult(200, "", "")).Encode(), true);
        await all.Sites[1].CheckpointAsync();
        Assert.Equal((9, null), (again.ReplayFrom, replicants.RestoredOf(again.Founding.Id)));
        var (last, _) = all.Sites[1].ByHand();
        Assert.Equal((9, 0), (last.ReplayFrom, last.Look(state => state.OpenCount)));
    }

    [Fact]
    public async Task What_a_site_has_lost_of_a_former_group_is_waited_for_until_nobody_can_bring_it_back()
    {
        using var all = new SimulatedReplicas(1);
        var (runner, _) = all.Sites[2].ByHand();
        var create = all.Create(1, "Site1", "a") with { Replicant = new ReplicantKey("numbers", "/v1/things", "m") };
        var record = new ReplicantRecord { Key = create.Replicant, Resource = "things", Group = runner.Founding.Id, CreatedBy = new OperationId(7) };
        await runner.ApplyAsync(1, new OpeningEntry(new OperationId(9), create.Replicant, GroupId.Of(["Site1", "Site2"]), ["Site1", "Site2"], 4, record, "", [create])
        {
            Former = [new FormerSite("Site3", ["Site3", "Site4"], 5)],
        }.Encode(), true);
        Assert.Empty(runner.Look(state => state.AllHere().ToArray()));
        runner.ReleaseDrained();
        Assert.Single(runner.Look(state => state.Held));
        Assert.Contains("Site3 has lost what it knew of that group", runner.WhyWaiting(runner.Look(state => state.Open.Single())), StringComparison.Ordinal);
        all.Gone.Add("Site4");
        runner.ReleaseDrained();
        Assert.Single(runner.Look(state => state.AllHere().ToArray()));
        Assert.Null(runner.WhyWaiting(runner.Look(state => state.Open.Single())));
    }

    [Fact]
    public async Task A_snapshot_takes_the_place_of_what_the_table_could_not_take_in()
    {
        using var all = new SimulatedReplicas(1);
        var (from, _) = all.Sites[0].ByHand();
        var (to, replicants) = all.Sites[1].ByHand();
        var proposed = new ProposedEntry(all.Create(1, "Site1", "a")).Encode();
        var accepted = new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode();
        await from.ApplyAsync(1, proposed, true);
        await from.ApplyAsync(2, accepted, true);
        var pieces = new List<ReadOnlyMemory<byte>>();
        await foreach (var piece in from.CaptureAsync()) pieces.Add(piece);

        await to.ApplyAsync(1, proposed, true);
        all.Sites[1].FillTable();
        await Assert.ThrowsAsync<TableException>(async () => await to.ApplyAsync(2, accepted, true));
        await Assert.ThrowsAsync<TableException>(async () => await to.RestoreAsync(2, Each(pieces)));
        Assert.Equal((1, 1), (to.ReplayFromNow(), to.AppliedIndex));
        all.Sites[1].ExtendTable();
        await to.RestoreAsync(2, Each(pieces));
        Assert.Equal(3, to.ReplayFrom);
        Assert.Equal("17", replicants.Find(to.Founding.Id, new ReplicantKey("numbers", "/v1/things", "m"))?.LocalIds["Site1"]);
    }

    [Fact]
    public async Task What_a_snapshot_does_not_have_is_gone()
    {
        using var all = new SimulatedReplicas(1);
        var (to, replicants) = all.Sites[1].ByHand();
        var key = new ReplicantKey("numbers", "/v1/things", "m");
        await to.ApplyAsync(1, new ProposedEntry(all.Create(1, "Site1", "a")).Encode(), true);
        await to.ApplyAsync(2, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode(), true);
        Assert.NotNull(replicants.Find(to.Founding.Id, key));

        // It was deleted since: a group without replicants has no pieces.
        await to.RestoreAsync(9, Each([]));
        Assert.Null(replicants.Find(to.Founding.Id, key));
    }

    [Fact]
    public async Task A_snapshot_tells_which_sites_were_removed()
    {
        using var all = new SimulatedReplicas(1);
        var (from, _) = all.Sites[0].ByHand();
        await from.ApplyAsync(1, new RemovedEntry("Site3").Encode(), true);
        var pieces = new List<ReadOnlyMemory<byte>>();
        await foreach (var piece in from.CaptureAsync()) pieces.Add(piece);
        var (to, _) = all.Sites[1].ByHand();
        await to.RestoreAsync(1, Each(pieces));
        await to.ApplyAsync(2, new ProposedEntry(all.Create(1, "Site1", "a")).Encode(), true);
        Assert.Equal("Site1=pending; Site2=pending; Site3=removed", to.Look(state => state.Open.Single().Describe()));
    }

    [Fact]
    public async Task A_removed_site_is_removed_after_a_start_too()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        await all.CompleteAsync(all.Sites[0].FoundAsync());
        all.Sites[2].Crash();
        await all.CompleteAsync(all.Sites[0].Runner!.SubmitAsync(all.Create(1, "Site1", "a"), CancellationToken.None));
        await all.CompleteAsync(all.Sites[0].RemoveAsync("Site3"));
        await all.UntilAsync("nothing waits for it", () => all.Sites.Take(2).All(site => site.Runner!.Look(state => state.OpenCount == 0)));
        all.Sites[0].Crash();
        all.Sites[0].Start();
        await all.UntilAsync("it has caught up", () => all.Sites[0].Runner!.AppliedIndex == all.Sites[1].Runner!.AppliedIndex && all.Sites[0].Runner!.Look(state => state.OpenCount == 0));
        var submitted = all.Sites[0].Runner!.SubmitAsync(all.Create(2, "Site1", "b"), CancellationToken.None);
        await all.CompleteAsync(submitted);
        await all.UntilAsync("it is done at the others", () => all.Sites[1].Runner!.Look(now => now.OpenCount == 0));
        Assert.Equal("Site1=applied; Site2=applied; Site3=removed", all.Sites[0].Runner!.Look(_ => submitted.Result.State.Describe()));
    }

    private static async IAsyncEnumerable<ReadOnlyMemory<byte>> Each(List<ReadOnlyMemory<byte>> pieces)
    {
        foreach (var piece in pieces) yield return await Task.FromResult(piece);
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
