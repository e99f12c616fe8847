using System.Diagnostics;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Services that answer an error after they executed, hang, or refuse.</summary>
public sealed class UnrulyServiceTests
{
    // The bound of a client's wait, and what it takes to tell it on a busy machine.
    private static readonly TimeSpan WithinBound = TimeSpan.FromSeconds(58);

    [Fact]
    public async Task A500ThatWasExecutedAllTheSameIsFoundByLooking()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        for (var site = 1; site <= 3; site++)
        {
            var service = sites.Of(site);
            service.Behaviour = async (call, execute) =>
            {
                service.Behaviour = null;
                execute();
                await call.AnswerJsonAsync(500, "{}");
            };
        }

        var metaId = await sites.CreatedAsync(1, "executed");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("executed", metaId, 1, 2, 3);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(409)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task WhatTheDecidingSitesServiceDoesNotDoIsNowhere(int status)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        sites.Of(1).Behaviour = (call, _) => call.AnswerJsonAsync(status, """{"why":"no"}""");
        var answer = await sites.CreateAsync(1, "refused");
        Assert.Equal(status, answer.Status);
        Assert.Equal("no", answer.Json.GetProperty("why").GetString());
        await sites.QuietAsync();
        sites.AssertNowhere("refused");

        // The same from another site, whose service is well, is no repetition of it.
        sites.Of(1).Behaviour = null;
        var metaId = await sites.CreatedAsync(2, "refused");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("refused", metaId, 1, 2, 3);
    }

    [Fact]
    public async Task AServiceThatIsNotThereChangesNothingAnywhere()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();
        await sites.Of(1).DisposeAsync();
        (await sites.CreateAsync(1, "refused")).Problem(503, "apply", true);
        await sites.QuietAsync();
        sites.AssertNowhere("refused");

        // What another site decides waits for the service, and says so.
        Assert.Equal(200, (await sites.PutAsync(2, metaId, "before", "after")).Status);
        await sites.WaitsForAsync(1);
    }

    [Fact]
    public async Task AClientOfAServiceThatHangsLearnsTheOperationWithinItsBound()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "before");
        var hold = new Hold(sites.Of(1), isExecuted: true);
        var started = Stopwatch.GetTimestamp();
        var problem = (await sites.CreateAsync(1, "hung")).Problem(504, "apply", false);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, WithinBound);
        var id = problem.GetProperty("operation").GetString()!;
        await hold.Arrived;

        // It is still under way; another one passes it.
        Assert.Equal([id], (await sites.OperationsAsync(1)).Select(one => one.GetProperty("id").GetString()));
        await sites.CreatedAsync(1, "passes");

        // No answer comes of it: what was executed is found by looking.
        hold.Release();
        await sites.QuietAsync();
        var told = await Client.GetAsync(new Uri(sites.Mesh[2].ApiUrl), $"/_cheops/v1/operations/{id}");
        Assert.Equal("accepted", told.Json.GetProperty("decision").GetString());
        await sites.AssertReplicatedAsync("hung", null, 1, 2, 3);
        await sites.AssertReplicatedAsync("passes", null, 1, 2, 3);
    }
}
