using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Operations that wait for one service of a site: they hold up no other service, and all are done once it is back.</summary>
public sealed class DownServiceTests
{
    private const int Many = 300;

    [Fact]
    public async Task What_waits_for_a_service_that_is_down_holds_up_no_other_and_is_done_in_order_when_it_is_back()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        var (first, second) = (all.Sites[0], all.Sites[1]);
        await all.CompleteAsync(first.FoundAsync());
        second.Things.IsDown = true;
        var created = Enumerable.Range(1, Many).Select(number => first.Runner!.SubmitAsync(all.Create(number, "Site1", $"k{number}"), CancellationToken.None)).ToArray();
        await all.CompleteAsync(Task.WhenAll(created));
        var metaIds = (await Task.WhenAll(created)).Select(one => one.State.Key.MetaId).ToArray();
        for (var number = 1; number <= 20; number++)
        {
            var metaId = metaIds[number - 1];
            await all.CompleteAsync(first.Runner!.SubmitAsync(all.Put(1000 + number, "Site1", metaId, $"k{number}", "second"), CancellationToken.None));
            await all.CompleteAsync(first.Runner.SubmitAsync(all.Put(2000 + number, "Site1", metaId, $"k{number}", "third"), CancellationToken.None));
        }

        await all.UntilAsync("all of them wait", () => Pending() == Many + 40);

        // The other service there is decided, refuses, and follows.
        await all.CompleteAsync(second.Runner!.SubmitAsync(SimulatedReplicas.OfLetters(all.Create(5001, "Site2", "a")), CancellationToken.None));
        Assert.Equal(["made"], second.Letters.ThingsOf("a"));
        await all.CompleteAsync(first.Runner!.SubmitAsync(SimulatedReplicas.OfLetters(all.Create(5002, "Site1", "b")), CancellationToken.None));
        await all.UntilAsync("it follows", () => second.Letters.ThingsOf("b").Count == 1);
        second.Letters.Refuses = true;
        var refused = second.Runner.SubmitAsync(SimulatedReplicas.OfLetters(all.Create(5003, "Site2", "c")), CancellationToken.None);
        await all.CompleteAsync(refused);
        var (told, answer) = await refused;
        Assert.Equal((Decision.Refused, 409), (told.Decision, answer?.Status));
        second.Letters.Refuses = false;

        // Who asks for the one that is down is told so.
        var nowhere = second.Runner.SubmitAsync(all.Create(5004, "Site2", "d"), CancellationToken.None);
        await all.CompleteAsync(nowhere);
        Assert.Equal(Decision.NotExecuted, (await nowhere).State.Decision);

        // It is tried now and then, and whoever asks learns why all of them wait.
        var before = second.Things.NotReached;
        for (var ms = 0; ms < 60_000; ms += 5) await all.PassAsync();
        Assert.InRange(second.Things.NotReached - before, 1, 15);
        Assert.Equal(Many + 40, Pending());
        Assert.All(second.Runner.Look(state => state.Open.ToArray()), one => Assert.Equal("it is down", second.Runner.WhyWaiting(one)));

        second.Things.IsDown = false;
        await all.QuietAsync();
        for (var number = 1; number <= Many; number++)
            Assert.All(all.Sites, site => Assert.Equal(number <= 20 ? ["made", "second", "third"] : ["made"], site.Things.ValuesOf($"k{number}")));
        Assert.All(all.Sites, site => Assert.Equal(["made"], site.Letters.ThingsOf("a")));
        Assert.All(all.Sites, site => Assert.Equal(["made"], site.Letters.ThingsOf("b")));
        Assert.All(all.Sites, site => Assert.Empty(site.Letters.ThingsOf("c")));
        Assert.All(all.Sites, site => Assert.Empty(site.Things.ThingsOf("d")));

        int Pending() => second.Runner!.Look(state => state.Open.Count(one => one.Decision == Decision.Accepted && one.StepAt("Site2") == SiteStep.Pending));
    }

    [Fact]
    public async Task What_is_refused_until_an_earlier_operation_is_done_leaves_that_one_its_turn()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        var (first, second) = (all.Sites[0], all.Sites[1]);
        await all.CompleteAsync(first.FoundAsync());

        // More than have a turn at one time. At the second site nothing can be made before the first thing has its value, and that cannot be made yet.
        const int refused = Bounds.OperationsUnderWayMax + 12;
        var isBusy = true;
        second.Things.Instead = (method, body) => method != "POST" ? null
            : body.Contains("\"k1\"", StringComparison.Ordinal) ? (Volatile.Read(ref isBusy) ? 503 : null)
            : second.Things.ThingsOf("k1") is ["ready"] ? null : 422;
        var made = first.Runner!.SubmitAsync(all.Create(1, "Site1", "k1"), CancellationToken.None);
        await all.CompleteAsync(made);
        await all.CompleteAsync(first.Runner.SubmitAsync(all.Put(2, "Site1", (await made).State.Key.MetaId, "k1", "ready"), CancellationToken.None));
        await all.CompleteAsync(Task.WhenAll(Enumerable.Range(3, refused).Select(number => first.Runner.SubmitAsync(all.Create(number, "Site1", $"k{number}"), CancellationToken.None))));
        await all.UntilAsync(
            "all are refused for now",
            () => second.Runner!.Look(state => state.Open.ToArray()).Count(one => second.Runner!.WhyWaiting(one)?.Contains("422", StringComparison.Ordinal) == true) == refused);
        Volatile.Write(ref isBusy, false);
        await all.QuietAsync();
        Assert.Equal(["made", "ready"], second.Things.ValuesOf("k1"));
        for (var number = 3; number < 3 + refused; number++) Assert.All(all.Sites, site => Assert.Equal(["made"], site.Things.ValuesOf($"k{number}")));
    }

    [Fact]
    public async Task A_client_that_had_no_turn_at_a_service_that_hangs_is_told_that_nothing_was_executed()
    {
        using var all = new SimulatedReplicas(1);
        foreach (var site in all.Sites) site.Start();
        var first = all.Sites[0];
        await all.CompleteAsync(first.FoundAsync());
        first.Things.Hangs = true;
        for (var number = 1; number <= Bounds.OperationsUnderWayMax; number++) _ = Quiet(first.Runner!.SubmitAsync(all.Create(number, "Site1", $"k{number}"), CancellationToken.None));
        await all.UntilAsync("they hang", () => first.Things.Waiting == Bounds.OperationsUnderWayMax);
        var late = first.Runner!.SubmitAsync(all.Create(1000, "Site1", "late"), CancellationToken.None);
        await all.CompleteAsync(late);
        var (told, _) = await late;
        Assert.Equal(Decision.NotExecuted, told.Decision);
        Assert.Contains("operations under way", told.AnswerAt("Site1")!.Excerpt, StringComparison.Ordinal);

        // Another service is not concerned.
        await all.CompleteAsync(first.Runner.SubmitAsync(SimulatedReplicas.OfLetters(all.Create(1001, "Site1", "a")), CancellationToken.None));
        Assert.Equal(["made"], first.Letters.ThingsOf("a"));
        Assert.All(all.Sites, site => Assert.Empty(site.Things.ThingsOf("late")));
    }

    [Fact]
    public async Task A_group_that_takes_no_more_operations_says_why_where_and_what_to_do()
    {
        using var all = new SimulatedReplicas(1);
        var (runner, _) = all.Sites[0].ByHand();
        for (var number = 1; number <= Bounds.OperationsPendingMax; number++) await runner.ApplyAsync(number, new ProposedEntry(all.Create(number, "Site1", "k")).Encode(), true);
        await runner.ApplyAsync(
            Bounds.OperationsPendingMax + 1, new OutcomeEntry(new OperationId(1), "Site1", Decision.Accepted, "m", new ServiceResult(201, "17", "")).Encode(), true);
        await runner.ApplyAsync(Bounds.OperationsPendingMax + 2, new AppliedEntry(new OperationId(1), "Site2", SiteResult.Applied, new ServiceResult(201, "18", "")).Encode(), true);
        var refused = await Assert.ThrowsAsync<GroupException>(() => runner.SubmitAsync(all.Create(1_000_000, "Site1", "k"), CancellationToken.None));
        Assert.Equal((GroupError.Busy, true), (refused.Error, refused.SurelyNotCommitted));
        Assert.Contains("100000 operations of the group Site1 & Site2 & Site3 are not finished", refused.Message, StringComparison.Ordinal);
        Assert.Contains("is left at Site3.", refused.Message, StringComparison.Ordinal);
        Assert.Contains("'cheops sites remove'", refused.Message, StringComparison.Ordinal);
    }

    private static async Task Quiet(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The site ends while it hangs.
        }
    }
}
