using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>The site that decides an operation, which leads the group as well, or one that follows, is killed while its service works.</summary>
public sealed class DecidingSiteTests
{
    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task ACreateUnderWhichTheDecidingSiteIsKilledIsExecutedOnceEverywhere(bool isExecuted, bool isReplaced)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        await sites.LeadAsync(1);
        var hold = new Hold(sites.Of(1), isExecuted);
        var lost = Assert.ThrowsAsync<HttpRequestException>(() => sites.CreateAsync(1, "held"));
        await hold.Arrived;
        await sites.Mesh[1].KillAsync();
        await lost;
        hold.Release();
        if (isReplaced) await Wait.UntilAsync("another site decides", () => sites.Of(2).Things.Any(thing => thing.Key == "held"), more: sites.Mesh.Logs);
        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("held", null, 1, 2, 3);
        Assert.Equal(12, sites.Of(1).Made);
    }

    // The service has answered; that it has is not recorded anywhere when the site is killed.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WhatWasAnsweredAndCouldNotBeRecordedIsFoundByLooking(bool isReplaced)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        await sites.QuietAsync();
        await sites.LeadAsync(1);
        var hold = new Hold(sites.Of(1), isExecuted: true);
        var lost = Assert.ThrowsAsync<HttpRequestException>(() => sites.CreateAsync(1, "held"));
        await hold.Arrived;

        // Either Site1 is cut off and the others have a majority, which goes on without it, or nobody has one.
        int[] cut = [.. (isReplaced ? new[] { 1 } : [2, 3]).Select(site => sites.Mesh[site].NatsServer())];
        foreach (var pid in cut) Daemon.Signal(pid, Daemon.SigStop);
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site2", "down"), sites.Mesh[1].SeesAsync("Site3", "down"));
        await hold.AnswerAsync();

        // What comes on a connection with the service after the answer has passed the agent too.
        Assert.Equal(200, (await Client.GetAsync(sites.Mesh[1].Of(NumbersSites.Service), "/v1/things/1")).Status);
        var open = Assert.Single(await sites.OperationsAsync(1));
        Assert.Equal("none", open.GetProperty("decision").GetString());
        if (isReplaced) await Wait.UntilAsync("another site decides", () => sites.Of(2).Things.Any(thing => thing.Key == "held"), more: sites.Mesh.Logs);
        await sites.Mesh[1].KillAsync();
        await lost;
        if (!isReplaced)
        {
            foreach (var pid in cut) Daemon.Signal(pid, Daemon.SigCont);
        }

        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("held", null, 1, 2, 3);
        Assert.Equal(12, sites.Of(1).Made);
    }

    [Fact]
    public async Task ADecidingSiteThatIsCutOffForGoodIsReplacedAndRemovedAndTheRestGoOn()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "kept");
        await sites.QuietAsync();
        await sites.LeadAsync(1);
        var hold = new Hold(sites.Of(1), isExecuted: true);
        var asked = sites.CreateAsync(1, "held");
        await hold.Arrived;
        Daemon.Signal(sites.Mesh[1].NatsServer(), Daemon.SigStop);
        await Task.WhenAll(sites.Mesh[2].SeesAsync("Site1", "down"), sites.Mesh[3].SeesAsync("Site1", "down"));
        foreach (var site in new[] { 2, 3 })
            await Wait.UntilAsync($"Site{site} has what another site has decided", () => sites.Of(site).Things.Any(thing => thing.Key == "held"), more: sites.Mesh.Logs);
        await sites.WaitsForAsync(1, at: 2);
        (await sites.Mesh[2].CheopsAsync("sites", "remove", "Site1")).Succeeded();
        await sites.QuietAsync(2, 3);

        Assert.Equal(200, (await sites.PutAsync(2, metaId, "kept", "1")).Status);
        Assert.Equal(200, (await sites.PutAsync(3, metaId, "kept", "2")).Status);
        var after = await sites.CreatedAsync(3, "after");
        await sites.QuietAsync(2, 3);
        await sites.AssertReplicatedAsync("held", null, 2, 3);
        await sites.AssertReplicatedAsync("kept", metaId, 2, 3);
        await sites.AssertReplicatedAsync("after", after, 2, 3);
        Assert.Contains("Site1=removed", (await sites.GetAsync(2, metaId)).Fields["Cheops-Replicas"], StringComparison.Ordinal);

        // Cut off, Site1 reads what it has, says whom it does not reach, and changes nothing that it cannot agree on.
        var read = await sites.GetAsync(1, metaId);
        Assert.Equal("0", read.Json.GetProperty("value").GetString());
        Assert.Contains("Site2=unreachable", read.Fields["Cheops-Replicas"], StringComparison.Ordinal);
        (await sites.PutAsync(1, metaId, "kept", "alone")).Problem(503, "replicate", true);
        Assert.Equal("0", sites.ThingAt(1, "kept").Value);
        Assert.DoesNotContain(sites.Of(1).Things, thing => thing.Key == "after");
        sites.ThingAt(1, "held");

        // To its end; the client there never hears that its create was decided.
        await sites.Mesh[1].KillAsync();
        try
        {
            (await asked).Problem(504, "apply", false);
        }
        catch (HttpRequestException)
        {
            // Its wait was not over yet.
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ACreateUnderWhichAFollowingSiteIsKilledIsExecutedOnceThere(bool isExecuted)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        await sites.QuietAsync();
        var hold = new Hold(sites.Of(2), isExecuted);
        var metaId = await sites.CreatedAsync(1, "held");
        await hold.Arrived;
        await sites.Mesh[2].KillAsync();
        hold.Release();
        await sites.Mesh[2].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("held", metaId, 1, 2, 3);
        Assert.Equal(22, sites.Of(2).Made);
    }

    [Fact]
    public async Task WhatCannotBeToldByLookingIsLeftToAPerson()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "counter", "5");
        await sites.QuietAsync();
        var hold = new Hold(sites.Of(2), isExecuted: true);
        Assert.Equal(200, (await sites.AddAsync(1, metaId, 3)).Status);
        await hold.Arrived;
        await sites.Mesh[2].KillAsync();
        hold.Release();
        await sites.Mesh[2].StartAsync();
        await sites.Mesh.LinkedAsync();

        var id = "";
        await Wait.UntilAsync(
            "the addition is in doubt at Site2",
            async () =>
            {
                var open = await sites.OperationsAsync(2);
                if (open.Count != 1) return false;
                id = open[0].GetProperty("id").GetString()!;
                return open[0].GetProperty("sites").GetProperty("Site2").GetProperty("step").GetString() == "in-doubt";
            },
            more: sites.Mesh.Logs);
        (await sites.Mesh[2].CheopsAsync("operations", "skip", id)).Succeeded();
        await sites.QuietAsync();
        for (var site = 1; site <= 3; site++) Assert.Equal("8", sites.ThingAt(site, "counter").Value);
    }
}
