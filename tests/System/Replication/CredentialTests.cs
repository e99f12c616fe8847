using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Credentials that come with requests reach every site's service, and stand in no file in clear.</summary>
public sealed class CredentialTests
{
    private const string Token = "Bearer marker-of-a-user";
    private const string ServiceToken = "marker-of-a-service";

    [Fact]
    public async Task NoFileOfAnySiteHoldsOneInClear()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var seen = Watch(sites, 2);
        (string, string)[] credentials = [("Authorization", Token), ("X-Service-Token", ServiceToken), ("X-Other", "marker-of-nothing")];
        var service = sites.Mesh[1].Of(NumbersSites.Service);
        var made = await Client.PostAsync(service, "/v1/things", """{"key":"marker-of-a-key","value":"0"}""", sites.Scope, credentials);
        Assert.True(made.Status == 201, $"{made.Status}: {made.Body}\n{sites.Mesh.Logs()}");
        await sites.QuietAsync(1, 2);

        // One that waits, one whose body is kept by its content, and one that the service refuses.
        sites.Of(2).Behaviour = (call, _) => call.AnswerAsync(503);
        var metaId = NumbersSites.MetaIdOf(made);
        var large = $$"""{"key":"marker-of-a-key","value":"{{new string('v', 400_000)}}"}""";
        foreach (var body in (string[])[large, """{"key":"marker-of-a-key","value":"last"}"""])
        {
            var put = await Client.SendAsync(HttpMethod.Put, service, $"/v1/things/{metaId}", null, body, credentials);
            Assert.True(put.Status == 200, $"{put.Status}: {put.Body}\n{sites.Mesh.Logs()}");
        }

        await Client.SendAsync(HttpMethod.Put, service, $"/v1/things/{metaId}/nothing", null, "{}", credentials);
        await AssertNotInClearAsync(sites);

        seen.Clear();
        _ = Watch(sites, 2, seen);
        await sites.QuietAsync(1, 2);
        Assert.Equal("last", sites.ThingAt(2, "marker-of-a-key").Value);
        Assert.All(seen, one => Assert.Equal((Token, ServiceToken), one));
        Assert.NotEmpty(seen);
        foreach (var site in sites.Mesh.Sites)
        {
            site.Agent.Signal(Daemon.SigTerm);
            await site.Agent.WaitAsync();
        }

        await AssertNotInClearAsync(sites);
    }

    [Fact]
    public async Task OneIsSealedForASiteThatIsDownSinceTheAgentsStart()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        await sites.CreatedAsync(1, "before");
        await sites.QuietAsync(1, 2);
        var seen = Watch(sites, 2);

        // What was heard is kept at the next tick.
        var keys = Path.Combine(sites.Mesh[1].Directory, "data", "sites.keys");
        await Wait.UntilAsync("Site1 has kept the key of Site2", () => File.Exists(keys) && File.ReadAllText(keys).Contains("Site2 ", StringComparison.Ordinal));
        await sites.Mesh[2].KillAsync();
        await sites.Mesh[1].KillAsync();
        await sites.Mesh[1].StartAsync();
        await sites.Mesh[1].SeesAsync("Site3", "up");

        // Site3 votes with it.
        var made = await Client.PostAsync(sites.Mesh[1].Of(NumbersSites.Service), "/v1/things", """{"key":"while away","value":"0"}""", sites.Scope, ("Authorization", Token), ("X-Service-Token", ServiceToken));
        Assert.True(made.Status == 201, $"{made.Status}: {made.Body}\n{sites.Mesh.Logs()}");
        await sites.Mesh[2].StartAsync();
        await sites.QuietAsync(1, 2);
        sites.ThingAt(2, "while away");
        Assert.Equal((Token, ServiceToken), Assert.Single(seen));
    }

    // The credentials of each change that a site's service gets.
    private static List<(string?, string?)> Watch(NumbersSites sites, int site, List<(string?, string?)>? into = null)
    {
        var seen = into ?? [];
        sites.Of(site).Behaviour = async (call, execute) =>
        {
            lock (seen) seen.Add((call.Head["Authorization"], call.Head["X-Service-Token"]));
            var (status, body) = execute();
            await call.AnswerJsonAsync(status, body);
        };
        return seen;
    }

    private static async Task AssertNotInClearAsync(NumbersSites sites)
    {
        // What is no credential is found: so the search finds.
        Assert.NotEmpty(await FilesWithAsync(sites, "marker-of-nothing"));
        Assert.NotEmpty(await FilesWithAsync(sites, "marker-of-a-key"));
        Assert.Empty(await FilesWithAsync(sites, "marker-of-a-user"));
        Assert.Empty(await FilesWithAsync(sites, ServiceToken));
    }

    // By a program, since agents have their files locked against readers that ask.
    private static async Task<string> FilesWithAsync(NumbersSites sites, string text)
    {
        var ran = await Commands.RunAsync(["grep", "-rlaF", text, .. sites.Mesh.Sites.Select(site => Path.Combine(site.Directory, "data"))]);
        Assert.True(ran.ExitCode is 0 or 1, ran.All);
        return ran.Output;
    }
}
