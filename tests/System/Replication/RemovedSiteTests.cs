using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>A site that will not come back is removed by decision of a person: nothing waits for it any more.</summary>
public sealed class RemovedSiteTests
{
    [Fact]
    public async Task WhatWaitsForASiteThatIsRemovedIsFinished()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "kept");
        await sites.QuietAsync();
        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site3", "down"), sites.Mesh[2].SeesAsync("Site3", "down"));
        Assert.Equal(200, (await sites.PutAsync(2, metaId, "kept", "1")).Status);
        await sites.WaitsForAsync(3, at: 1);
        (await sites.Mesh[1].CheopsAsync("sites", "remove", "Site3")).Succeeded();
        await sites.QuietAsync(1, 2);
        Assert.Contains("Site3=removed", (await sites.Mesh[2].CheopsAsync("operations", "--all")).Succeeded().Output, StringComparison.Ordinal);

        Assert.Equal(200, (await sites.PutAsync(1, metaId, "kept", "2")).Status);
        var second = await sites.CreateAsync(2, "second");
        Assert.Contains("Site3=removed", second.Fields["Cheops-Replicas"], StringComparison.Ordinal);
        await sites.QuietAsync(1, 2);
        await sites.Mesh[1].KillAsync();
        await sites.Mesh[1].StartAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site2", "up"), sites.Mesh[2].SeesAsync("Site1", "up"));
        Assert.Equal(200, (await sites.PutAsync(1, metaId, "kept", "3")).Status);
        await sites.QuietAsync(1, 2);
        await sites.AssertReplicatedAsync("kept", metaId, 1, 2);
        await sites.AssertReplicatedAsync("second", NumbersSites.MetaIdOf(second), 1, 2);
        Assert.Contains("Site3=removed", (await sites.GetAsync(1, metaId)).Fields["Cheops-Replicas"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task ItLeavesTheGroupsOfOtherSitesTooButNotWhileItIsUp()
    {
        await using var sites = await NumbersSites.StartAsync(4, 3);
        var here = await sites.CreatedAsync(1, "here");
        // A group that Site1, where the command is run, is no member of.
        var made = await Client.PostAsync(sites.Mesh[2].Of(NumbersSites.Service), "/v1/things", """{"key":"there","value":"0"}""", "Site2 & Site3 & Site4");
        Assert.True(made.Status is 200 or 201, $"{made.Status}: {made.Body}\n{sites.Mesh.Logs()}");
        var there = NumbersSites.MetaIdOf(made);
        await sites.QuietAsync();

        var mistaken = await sites.Mesh[1].CheopsAsync("sites", "remove", "Site33");
        Assert.True(mistaken.ExitCode == 2 && mistaken.Error.Contains("did you mean 'Site3'?", StringComparison.Ordinal), mistaken.All);
        var up = await sites.Mesh[1].CheopsAsync("sites", "remove", "Site3");
        Assert.True(up.ExitCode == 1 && up.Error.Contains("Site3 is up", StringComparison.Ordinal), up.All);

        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(new[] { 1, 2, 4 }.Select(site => sites.Mesh[site].SeesAsync("Site3", "down")));
        Assert.Equal(200, (await sites.PutAsync(1, here, "here", "1")).Status);
        Assert.Equal(200, (await sites.PutAsync(4, there, "there", "1")).Status);
        await sites.WaitsForAsync(3, at: 2);
        var removed = (await sites.Mesh[1].CheopsAsync("sites", "remove", "Site3")).Succeeded();
        Assert.Matches("Site1 & Site2 & Site3 +removed", removed.Output);
        Assert.Matches("Site2 & Site3 & Site4 +removed", removed.Output);
        Assert.Contains("Site3 counts in no group any more", removed.Output, StringComparison.Ordinal);
        await sites.QuietAsync(1, 2, 4);
        await sites.AssertReplicatedAsync("there", there, 2, 4);
        Assert.Contains("Site3=removed", (await sites.GetAsync(4, there)).Fields["Cheops-Replicas"], StringComparison.Ordinal);

        // Of what only a site that is down could tell, nothing is claimed.
        await sites.Mesh[4].KillAsync();
        await sites.Mesh[1].SeesAsync("Site4", "down");
        var unsure = await sites.Mesh[1].CheopsAsync("sites", "remove", "Site3", "--output", "json");
        Assert.True(unsure.ExitCode == 1, unsure.All);
        using var told = JsonDocument.Parse(unsure.Output);
        Assert.All(told.RootElement.GetProperty("groups").EnumerateArray(), group => Assert.True(group.GetProperty("removed").GetBoolean(), unsure.All));
        Assert.Equal("Site4", Assert.Single(told.RootElement.GetProperty("withoutAnswer").EnumerateArray()).GetProperty("site").GetString());
    }
}
