using System.Text;
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
        AssertNotInClear(sites);

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

        AssertNotInClear(sites);
    }

    [Fact]
    public async Task OneIsSealedForASiteThatIsDownSinceTheAgentsStart()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        await sites.CreatedAsync(1, "before");
        await sites.QuietAsync(1, 2);
        var seen = Watch(sites, 2);
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

    private static void AssertNotInClear(NumbersSites sites)
    {
        // What is no credential is found: so the search finds.
        var files = sites.Mesh.Sites.SelectMany(site => Directory.EnumerateFiles(Path.Combine(site.Directory, "data"), "*", SearchOption.AllDirectories)).ToArray();
        Assert.Contains(files, file => Holds(file, "marker-of-nothing"));
        Assert.Contains(files, file => Holds(file, "marker-of-a-key"));
        Assert.DoesNotContain(files, file => Holds(file, "marker-of-a-user") || Holds(file, ServiceToken));
    }

    private static bool Holds(string file, string text)
    {
        try
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            return bytes.GetBuffer().AsSpan(0, (int)bytes.Length).IndexOf(Encoding.ASCII.GetBytes(text)) >= 0;
        }
        catch (FileNotFoundException)
        {
            // Removed meanwhile.
            return false;
        }
        catch (IOException) when (Path.GetFileName(file) == "lock")
        {
            return false;
        }
    }
}
