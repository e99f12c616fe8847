using System.Diagnostics;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Requests without a scope at Site3, which has no replica of what Site1 and Site2 share.</summary>
public sealed class ElsewhereTests
{
    [Fact]
    public async Task ASiteWithoutAReplicaReadsChangesAndDeletesAReplicantByItsMetaId()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "thing", "1");
        await sites.QuietAsync();
        await KnownToHoldAsync(sites, metaId);
        var read = await sites.GetAsync(3, metaId);
        Assert.Equal((200, metaId), (read.Status, NumbersSites.MetaIdOf(read)));
        Assert.Contains(read.Site, (string[])["Site1", "Site2"]);
        Assert.Contains("Site1=applied", read.Fields["Cheops-Replicas"], StringComparison.Ordinal);

        Assert.Equal(200, (await sites.PutAsync(3, metaId, "thing", "2")).Status);
        Assert.Equal(200, (await sites.AddAsync(3, metaId, 3)).Status);
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("thing", metaId, 1, 2);
        Assert.Equal(["1", "2", "5"], sites.Of(2).ValuesOf("thing"));
        Assert.DoesNotContain(sites.Of(3).Things, thing => thing.Key == "thing");

        // What Site3 has by the id of a replica elsewhere is its own, and what it has not is nothing.
        var local = sites.ThingAt(1, "thing").Id;
        Assert.Equal(200, (await Client.SendAsync(HttpMethod.Put, sites.Mesh[3].Of(NumbersSites.Service), $"/v1/things/{local}", null, """{"key":"local-0","value":"own"}""")).Status);
        Assert.Equal(404, (await Client.SendAsync(HttpMethod.Delete, sites.Mesh[3].Of(NumbersSites.Service), "/v1/things/4000", null, null)).Status);
        Assert.Equal("5", sites.ThingAt(1, "thing").Value);

        Assert.Equal(200, (await Client.SendAsync(HttpMethod.Delete, sites.Mesh[3].Of(NumbersSites.Service), $"/v1/things/{metaId}", null, null)).Status);
        await sites.QuietAsync();
        sites.AssertNowhere("thing");
        Own404(await sites.GetAsync(3, metaId));
    }

    [Fact]
    public async Task CutOffItAnswersByItselfAndGoesOnAfterwards()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "thing", "1");
        await sites.QuietAsync();
        await KnownToHoldAsync(sites, metaId);
        var cut = sites.Mesh[3].NatsServer();
        Daemon.Signal(cut, Daemon.SigStop);
        try
        {
            await sites.Mesh[3].SeesAsync("Site1", "down");
            await sites.Mesh[3].SeesAsync("Site2", "down");
            Own404(await sites.PutAsync(3, metaId, "thing", "cut"));
            Own404(await sites.GetAsync(3, metaId));
        }
        finally
        {
            Daemon.Signal(cut, Daemon.SigCont);
        }

        await sites.Mesh.LinkedAsync();
        await KnownToHoldAsync(sites, metaId);
        Assert.Equal(200, (await sites.PutAsync(3, metaId, "thing", "2")).Status);
        await sites.QuietAsync();
        Assert.Equal(["1", "2"], sites.Of(2).ValuesOf("thing"));
    }

    [Fact]
    public async Task AFloodOfWhatDoesNotExistReachesNoOtherSite()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "thing", "1");
        await KnownToHoldAsync(sites, metaId);
        var before = await AskedAsync();
        var begun = Stopwatch.GetTimestamp();
        for (var i = 0; i < 1_000; i++) Own404(await sites.GetAsync(3, "4000"));

        // Once in each time that it is remembered.
        var most = 2 * (1 + (Stopwatch.GetElapsedTime(begun).TotalSeconds / 2));
        Assert.InRange(await AskedAsync() - before, 1, most);
        Assert.Equal("1", (await sites.GetAsync(3, metaId)).Json.GetProperty("value").GetString());

        async Task<double> AskedAsync() =>
            (await Task.WhenAll(sites.Mesh[1].MetricAsync("cheops_http_responses_total", "\"@links\""), sites.Mesh[2].MetricAsync("cheops_http_responses_total", "\"@links\""))).Sum();
    }

    private static void Own404(Answer answer)
    {
        Assert.Equal((404, "{}", "Site3"), (answer.Status, answer.Body, answer.Site));
        Assert.DoesNotContain("Cheops-Error", answer.Fields.Keys);
    }

    // A heartbeat says that a site holds replicas, and what was said of a path before is remembered for a moment.
    private static Task KnownToHoldAsync(NumbersSites sites, string metaId) => Wait.UntilAsync(
        "Site3 knows who holds replicas", async () => (await sites.GetAsync(3, metaId)).Status == 200, more: sites.Mesh.Logs);
}
