using System.Diagnostics;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Sites that are cut off, a majority that is lost, and all sites at once.</summary>
public sealed class PartitionTests
{
    // Far above the bound within which a group says that it has no majority.
    private static readonly TimeSpan WithinBound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task WithAWitnessOneSiteGoesOnAndTheOtherCatchesUpWithoutTouchingWhatIsLocal()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var before = await sites.CreatedAsync(1, "before", "1");
        await sites.QuietAsync();

        // Nothing comes in or goes out any more, and nobody is told.
        var cut = sites.Mesh[2].NatsServer();
        Daemon.Signal(cut, Daemon.SigStop);
        var during = new List<(string Key, string MetaId)>();
        try
        {
            await sites.Mesh[1].SeesAsync("Site2", "down");
            for (var i = 0; i < 10; i++) during.Add(($"during-{i}", await sites.CreatedAsync(1, $"during-{i}")));
            Assert.Equal(200, (await sites.PutAsync(1, before, "before", "2")).Status);
            Assert.Contains("Site2=unreachable", (await sites.GetAsync(1, before)).Fields["Cheops-Replicas"], StringComparison.Ordinal);

            // Cut off, Site2 serves what is its own, and refuses what it cannot agree on.
            Assert.Equal(201, (await Client.PostAsync(sites.Mesh[2].Of(NumbersSites.Service), "/v1/things", """{"key":"own","value":"1"}""")).Status);
            var refused = await sites.CreateAsync(2, "alone");
            Assert.True(refused.Status is 503 or 504, refused.Body);
        }
        finally
        {
            Daemon.Signal(cut, Daemon.SigCont);
        }

        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("before", before, 1, 2);
        foreach (var (key, metaId) in during) await sites.AssertReplicatedAsync(key, metaId, 1, 2);
        Assert.Equal(["1"], sites.Of(2).ValuesOf("own"));
        Assert.DoesNotContain(sites.Of(1).Things, thing => thing.Key == "own");
        Assert.Equal(30, sites.Of(3).Made);
        for (var i = 0; i < 10; i++) Assert.Equal([""], sites.Of(2).ValuesOf($"local-{i}"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task WithoutAMajorityChangesAreRefusedAndWithItTheyGoOn(int leader)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();
        await sites.LeadAsync(leader);
        await Task.WhenAll(sites.Mesh[2].KillAsync(), sites.Mesh[3].KillAsync());
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site2", "down"), sites.Mesh[1].SeesAsync("Site3", "down"));
        var started = Stopwatch.GetTimestamp();
        (await sites.CreateAsync(1, "meanwhile")).Problem(503, "replicate", true);
        (await sites.PutAsync(1, metaId, "before", "meanwhile")).Problem(503, "replicate", true);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, WithinBound);

        // Reads go on.
        Assert.Equal("0", (await sites.GetAsync(1, metaId)).Json.GetProperty("value").GetString());

        await Task.WhenAll(sites.Mesh[2].StartAsync(), sites.Mesh[3].StartAsync());
        await sites.Mesh.LinkedAsync();
        Assert.Equal(200, (await sites.PutAsync(1, metaId, "before", "after")).Status);
        var after = await sites.CreatedAsync(2, "after");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("before", metaId, 1, 2, 3);
        await sites.AssertReplicatedAsync("after", after, 1, 2, 3);
        Assert.Equal(["0", "after"], sites.Of(3).ValuesOf("before"));
        sites.AssertNowhere("meanwhile");
    }

    [Fact]
    public async Task AllSitesRestartedAtOnceHaveEverything()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var created = new Dictionary<string, string>();
        for (var i = 0; i < 12; i++) created[$"thing-{i}"] = await sites.CreatedAsync(1 + (i % 3), $"thing-{i}");
        await Task.WhenAll(sites.Mesh.Sites.Select(site => site.KillAsync()));
        await Task.WhenAll(sites.Mesh.Sites.Select(site => site.StartAsync()));
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        foreach (var (key, metaId) in created)
        {
            await sites.AssertReplicatedAsync(key, metaId, 1, 2, 3);
            Assert.Equal(200, (await sites.PutAsync(2, metaId, key, "again")).Status);
        }

        await sites.QuietAsync();
        foreach (var (key, metaId) in created) await sites.AssertReplicatedAsync(key, metaId, 1, 2, 3);
    }
}
