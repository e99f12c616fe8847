using System.Diagnostics;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Services that answer after their clients' wait is over, lose the answer then, or never answer.</summary>
public sealed class SlowServiceTests
{
    // The bound of a client's wait, and what it takes to tell it on a busy machine.
    private static readonly TimeSpan WithinBound = TimeSpan.FromSeconds(58);

    private static readonly TimeSpan Late = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task ClientsLearnTheirOperationWithinTheirBoundAndWhatComesLaterCounts()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var before = await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();

        // At the deciding site: one create whose answer comes late, one whose answer is lost, one that is not executed; at a
        // following site a change that is not executed.
        var started = Stopwatch.GetTimestamp();
        var (late, lateAnswer) = await HeldAsync("late", isExecuted: true);
        var (lost, lostAnswer) = await HeldAsync("lost", isExecuted: true);
        var (never, neverAnswer) = await HeldAsync("never", isExecuted: false);
        var follower = new Hold(sites.Of(2), isExecuted: false);
        var changed = await sites.PutAsync(1, before, "before", "1");
        Assert.Equal(200, changed.Status);
        await follower.Arrived;

        // Others pass them.
        for (var site = 1; site <= 3; site++) await sites.CreatedAsync(site, $"passes-{site}");

        var ids = new List<string>();
        foreach (var answer in new[] { lateAnswer, lostAnswer, neverAnswer })
        {
            ids.Add((await answer).Problem(504, "apply", false).GetProperty("operation").GetString()!);
            Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, WithinBound);
        }

        // Every site tells that they are under way, and where.
        for (var site = 1; site <= 3; site++)
        {
            foreach (var id in ids) AssertOperation(await sites.OperationAsync(site, id), "none", "pending", "pending", "pending");
            AssertOperation(await sites.OperationAsync(site, changed.Fields["Cheops-Operation"]), "accepted", "applied", "pending", "applied");
        }

        Assert.Contains("Site2=pending(1)", (await sites.GetAsync(1, before)).Fields["Cheops-Replicas"], StringComparison.Ordinal);

        // The answer that comes after all is the operation's outcome.
        await Wait.UntilAsync("a minute has passed", () => Stopwatch.GetElapsedTime(started) > Late, 2 * Late);
        await late.AnswerAsync();
        AssertOperation(await sites.OperationAsync(3, ids[0], waitSeconds: 40), "accepted", "applied", "applied", "applied");
        await sites.AssertReplicatedAsync("late", null, 1, 2, 3);

        // One that is lost then: what was executed is found by looking.
        lost.Release();
        AssertOperation(await sites.OperationAsync(2, ids[1], waitSeconds: 40), "accepted", "applied", "applied", "applied");
        await sites.AssertReplicatedAsync("lost", null, 1, 2, 3);

        // What is never answered is open until it is known what became of it, and nothing else waits for it.
        var open = await sites.OperationsAsync(1);
        Assert.Equal(new HashSet<string?>([changed.Fields["Cheops-Operation"], ids[2]]), [.. open.Select(one => one.GetProperty("id").GetString())]);
        sites.AssertNowhere("never");
        follower.Release();
        never.Release();
        await sites.QuietAsync();
        sites.AssertNowhere("never");
        await sites.AssertReplicatedAsync("before", before, 1, 2, 3);
        for (var site = 1; site <= 3; site++) await sites.AssertReplicatedAsync($"passes-{site}", null, 1, 2, 3);

        async Task<(Hold Hold, Task<Answer> Answer)> HeldAsync(string key, bool isExecuted)
        {
            var hold = new Hold(sites.Of(1), isExecuted);
            var answer = sites.CreateAsync(1, key);
            await hold.Arrived;
            return (hold, answer);
        }
    }

    private static void AssertOperation(Answer told, string decision, params string[] steps)
    {
        Assert.True(told.Status == 200, $"{told.Status}: {told.Body}");
        Assert.Equal(decision, told.Json.GetProperty("decision").GetString());
        Assert.Equal(steps, told.Json.GetProperty("sites").EnumerateObject().Select(site => site.Value.GetProperty("step").GetString()));
        Assert.Equal(steps.All(step => step == "applied"), told.Json.GetProperty("finished").GetBoolean());
    }
}
