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
}
