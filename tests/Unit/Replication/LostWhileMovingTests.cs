using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Sites that are lost for good while a replicant moves, or while they alone have what an operation carries.</summary>
public sealed class LostWhileMovingTests : IAsyncLifetime
{
    private const string Three = "Site1 & Site2 & Site3";
    private readonly MovingSites _sites = new("Site1", "Site2", "Site3");

    public async Task InitializeAsync()
    {
        await _sites.StartAsync();
        Assert.Equal("201", MovingSites.Status(await _sites.CreateAsync("Site1", "web", Three)));
        await _sites.QuietAsync();
    }

    public Task DisposeAsync() => _sites.DisposeAsync().AsTask();

    private async Task RemoveAsync(string at, string lost) => Assert.True((await _sites.ApiAsync(at, $"removed-sites/{lost}")).GetProperty("done").GetBoolean());

    [Fact]
    public async Task A_move_that_the_leaving_site_asked_for_is_over_although_another_site_is_lost()
    {
        // Site1 and Site2 cannot open it yet.
        foreach (var site in (string[])["Site1", "Site2"]) _sites[site].IsBusy = true;
        Assert.Equal("200", MovingSites.Status(await _sites.PutAsync("Site3", "web", "before")));
        var asking = _sites.TellAsync("Site3", MovingSites.SitesOf("web"), HttpMethod.Post, ("remove", "Site3"), ("replica", "keep"));
        await _sites.Sites.UntilAsync("the move has begun", () => _sites.Sites["Site1"].Replicator!.Groups.Any(runner => runner.Look(state => state.Moving.Any())));
        _sites.Lose("Site2");
        await _sites.Sites.UntilAsync("Site1 has noted why it waits", () => _sites.Sites["Site1"].Replicator!.Groups.Any(
            runner => runner.Look(state => state.Moving.ToArray()).Any(move => _sites.Sites["Site1"].Replicator!.Mover.ReasonOf(runner, move).Contains("not done yet", StringComparison.Ordinal))));
        var told = (await OperationsAsync("Site3")).Single(one => one.GetProperty("kind").GetString() == "move");
        Assert.StartsWith("Site1 completes it", told.GetProperty("problem").GetString(), StringComparison.Ordinal);
        _sites["Site1"].IsBusy = false;
        await RemoveAsync("Site1", "Site2");
        await asking;
        await _sites.QuietAsync();
        var put = await _sites.PutAsync("Site1", "web", "after");
        Assert.True(MovingSites.Status(put) == "200", put.ToString());
        Assert.Equal(("Site1 & Site2", ""), (_sites.KnownAt("Site1", "web"), _sites.KnownAt("Site3", "web")));
        Assert.Contains("after", _sites["Site1"].All["web"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_the_sites_that_stay_cannot_be_founded_for_is_not_begun()
    {
        _sites.Lose("Site2");
        var (status, told) = await _sites.TellAsync("Site3", MovingSites.SitesOf("web"), HttpMethod.Post, ("remove", "Site3"), ("replica", "keep"));
        Assert.True(status == 503, told.ToString());
        Assert.Contains("Site1 & Site2", told.GetProperty("detail").GetString(), StringComparison.Ordinal);
        var put = await _sites.PutAsync("Site3", "web", "goes on");
        Assert.True(MovingSites.Status(put) == "200", put.ToString());
    }

    [Theory]
    [InlineData("PUT", true)]
    [InlineData("PATCH", true)]
    [InlineData("PUT", false)]
    public async Task A_large_body_that_only_a_removed_site_had_is_told_and_holds_nothing_up(string method, bool isDecided)
    {
        KeepContentsAt("Site1");
        _sites["Site1"].Hangs = !isDecided;
        var large = _sites.AskAsync("Site1", method, $"{MovingSites.Pods}/web", "", $$$"""{"metadata":{"name":"web"},"value":"{{{new string('x', 300_000)}}}"}""");
        if (isDecided) Assert.Equal("200", MovingSites.Status(await large));
        var waits = isDecided ? "accepted, and they try" : "it is proposed";
        await _sites.Sites.UntilAsync(waits, () => Others.All(site => _sites.Sites[site].Replicator!.Groups.Any(runner => runner.Look(state => state.OpenCount == 1) && (!isDecided || runner.Problem.Length > 0))));
        _sites.Lose("Site1");
        foreach (var site in Others) _sites.Sites[site].Opening = null;

        // Who is only away may come back with it.
        if (isDecided) Assert.All(Others, site => Assert.Contains("is at no site that can be reached", _sites.Sites[site].Replicator!.Groups.Select(runner => runner.Problem).Append("").Max(), StringComparison.Ordinal));
        await RemoveAsync("Site2", "Site1");

        if (isDecided)
        {
            await _sites.Sites.UntilAsync("it has failed at both", () => Steps().All(step => step is "removed" or "applied" or "failed"));
            var operation = (await OperationsAsync("Site2")).Single();
            foreach (var site in Others)
            {
                var there = operation.GetProperty("sites").GetProperty(site);
                Assert.Equal("failed", there.GetProperty("step").GetString());
                Assert.Contains("no site that is left has its body", there.GetProperty("answer").GetString(), StringComparison.Ordinal);
                var (status, told) = await _sites.TellAsync("Site2", $"operations/{operation.GetProperty("id").GetString()}/skip", HttpMethod.Post, ("site", site));
                Assert.True(status == 200, told.ToString());
            }
        }

        await _sites.QuietAsync();
        var again = await _sites.AskAsync("Site2", "PUT", $"{MovingSites.Pods}/web", "", $$$"""{"metadata":{"name":"web"},"value":"{{{new string('y', 300_000)}}}"}""");
        Assert.True(MovingSites.Status(again) == "200", again.ToString());
        await _sites.QuietAsync();
        Assert.All(Others, site => Assert.Contains("yyy", _sites[site].All["web"], StringComparison.Ordinal));

        IEnumerable<string> Steps() => _sites.Sites["Site2"].Replicator!.Groups.SelectMany(runner => runner.Look(state => state.Open.SelectMany(one => one.Describe().Split("; ")).Select(one => one.Split('=')[1]).ToArray()));
    }

    private static readonly string[] Others = ["Site2", "Site3"];

    // Nobody gets a body from anybody.
    private void KeepContentsAt(string site)
    {
        foreach (var other in Others)
        {
            _sites.Sites[other].Opening = (_, opening) =>
            {
                if (opening.Service == Agent.Replication.Contents.LinkService) throw new Agent.Mesh.LinkException(site, Agent.Mesh.LinkError.SiteDown, "not now");
            };
        }
    }

    private async Task<System.Text.Json.JsonElement[]> OperationsAsync(string site) =>
        [.. (await _sites.ApiAsync(site, "operations", HttpMethod.Get)).GetProperty("operations").EnumerateArray()];
}
