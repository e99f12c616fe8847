using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>What begins while a site is away is there when it is back.</summary>
public sealed class AwaySiteTests
{
    [Fact]
    public async Task SitesBeginToReplicateAlthoughOneOfThemIsAway()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);

        // They have surely met when each has done something in a group with the other.
        foreach (var site in new[] { 1, 2 })
        {
            var pair = await Client.PostAsync(sites.Mesh[site].Of(NumbersSites.Service), "/v1/things", JsonSerializer.Serialize(new { key = $"pair-{site}", value = "0" }), $"Site{site} & Site3");
            Assert.True(pair.Status == 201, $"{pair.Status}: {pair.Body}\n{sites.Mesh.Logs()}");
        }

        await sites.QuietAsync();
        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site3", "down"), sites.Mesh[2].SeesAsync("Site3", "down"));
        var metaId = await sites.CreatedAsync(1, "away");
        Assert.Equal(200, (await sites.PutAsync(1, metaId, "away", "changed")).Status);
        await sites.Mesh[3].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("away", metaId, 1, 2, 3);
    }
}
