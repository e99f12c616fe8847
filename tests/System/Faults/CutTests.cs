using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>
/// Links cut silently: three hosts as network namespaces, packets of one vanish. The services are Python's own
/// http.server, since they must run inside the namespaces.
/// </summary>
public sealed class CutTests
{
    [Fact]
    public async Task ASilentCutIsNoticedByBothSidesAndHeals()
    {
        await using var hosts = await NetworkNamespaces.MakeAsync(3);
        var services = new List<Daemon>();
        Site[] sites = [SiteOf(hosts, 1), SiteOf(hosts, 2), SiteOf(hosts, 3)];
        Mesh.Link(sites);
        var certificates = await MeshCertificates.IssueAsync(sites[0].Directory, [.. sites.Select(site => (site.Name, site.Address))]);
        foreach (var site in sites) certificates.SetUp(site.Name, site.Settings);
        try
        {
            for (var number = 1; number <= 3; number++)
            {
                await File.WriteAllTextAsync(Path.Combine(sites[number - 1].Directory, "who"), $"Site{number}");
                services.Add(Daemon.Start(
                    ["python3", "-m", "http.server", "9000", "--bind", "127.0.0.1", "--directory", sites[number - 1].Directory], new Dictionary<string, string>(), hosts.Of(number)));
                await sites[number - 1].StartAsync();
            }

            await StatesAsync(hosts, 1, "up up");
            await StatesAsync(hosts, 3, "up up");
            Assert.Equal("200 Site3", await GetAsync(hosts, 1, "Site3"));

            await hosts.SetLinkAsync(3, up: false);
            await StatesAsync(hosts, 1, "up down");
            await StatesAsync(hosts, 3, "down down");
            Assert.StartsWith("503", await GetAsync(hosts, 1, "Site3"), StringComparison.Ordinal);
            Assert.Equal("200 Site2", await GetAsync(hosts, 1, "Site3 ; Site2"));

            // Cut off, it serves its own users.
            Assert.Equal("200 Site3", await GetAsync(hosts, 3, null));
            Assert.Equal("200 Site3", await GetAsync(hosts, 3, "Site1 ; Site3"));

            await hosts.SetLinkAsync(3, up: true);
            await StatesAsync(hosts, 1, "up up");
            await StatesAsync(hosts, 3, "up up");
            Assert.Equal("200 Site3", await GetAsync(hosts, 1, "Site3"));
            Assert.Equal("200 Site1", await GetAsync(hosts, 3, "Site1"));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{string.Join("\n", sites.Select(site => $"==== {site.Name}\n{site.Log}"))}");
        }
        finally
        {
            foreach (var site in sites) await site.DisposeAsync();
            foreach (var service in services) await service.DisposeAsync();
        }
    }

    private static Site SiteOf(NetworkNamespaces hosts, int number)
    {
        var site = new Site($"Site{number}", NetworkNamespaces.AddressOf(number)) { NetworkNamespace = hosts.Of(number) };
        site.Services.Add(new FrontedService("api", "http://127.0.0.1:9000", 18000));
        return site;
    }

    private static Task StatesAsync(NetworkNamespaces hosts, int from, string states)
    {
        var last = "";
        return Wait.UntilAsync(
            $"Site{from} sees the others {states}",
            async () =>
            {
                var ran = await hosts.RunAsync(from, "curl", "-s", "-m", "5", $"http://{NetworkNamespaces.AddressOf(from)}:7070/_cheops/v1/sites");
                last = ran.All;
                if (ran.ExitCode != 0) return false;
                using var document = global::System.Text.Json.JsonDocument.Parse(ran.Output);
                return states == string.Join(' ', document.RootElement.GetProperty("sites").EnumerateArray()
                    .Where(site => !site.GetProperty("self").GetBoolean()).Select(site => site.GetProperty("state").GetString()));
            },
            more: () => last);
    }

    private static async Task<string> GetAsync(NetworkNamespaces hosts, int from, string? scope)
    {
        string[] field = scope is null ? [] : ["-H", $"Scope: {scope}"];
        var ran = await hosts.RunAsync(from, ["curl", "-s", "-m", "20", "-w", " %{http_code}", .. field, $"http://{NetworkNamespaces.AddressOf(from)}:18000/who"]);
        var output = ran.Succeeded().Output;
        var space = output.LastIndexOf(' ');
        return $"{output[(space + 1)..]} {output[..space]}";
    }
}
