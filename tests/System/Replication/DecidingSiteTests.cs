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
