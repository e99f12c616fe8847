using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Cheops.Tests.Simulation.Checkers;
using Cheops.Tests.System.Harness;
using Cheops.Tests.System.Replication;

namespace Cheops.Tests.System.Soak;

/// <summary>
/// Sites for a campaign: each is a network namespace with an agent, a <see cref="NumbersService"/> that only the agent there
/// reaches, and a small disk of its own. Every change has a number, which is its name in the history.
/// </summary>
internal sealed class SoakSites : IAsyncDisposable
{
    private readonly List<NumbersService> _services = [];
    private readonly List<HttpClient> _clients = [];
    private readonly List<string> _disks = [];
    private readonly List<Site> _sites = [];

    private SoakSites(NetworkNamespaces hosts) => Hosts = hosts;

    public NetworkNamespaces Hosts { get; }

    public History History { get; } = new();

    /// <summary>What happened, with the number of the change or the thing's key: what a person reads of a run that failed.</summary>
    public ConcurrentQueue<(DateTime At, string About, string What)> Story { get; } = new();

    public void Note(string about, string what) => Story.Enqueue((DateTime.UtcNow, about, what));

    public int Count => _sites.Count;

    public static string NameOf(int site) => $"Site{site}";

    /// <summary>Sites are counted from 1.</summary>
    public Site this[int site] => _sites[site - 1];

    public NumbersService Of(int site) => _services[site - 1];

    /// <summary>A directory on the disk of a site, which holds its data.</summary>
    public string DiskOf(int site) => _disks[site - 1];

    public static async Task<SoakSites> StartAsync(int count)
    {
        var soak = new SoakSites(await NetworkNamespaces.MakeAsync(count));
        try
        {
            for (var number = 1; number <= count; number++) await soak.AddAsync(number);
            Mesh.Link(soak._sites);
            var certificates = await MeshCertificates.IssueAsync(soak[1].Directory, [.. soak._sites.Select(site => (site.Name, site.Address))]);
            foreach (var site in soak._sites) certificates.SetUp(site.Name, site.Settings);
            await Task.WhenAll(soak._sites.Select(site => site.StartAsync()));
            await soak.LinkedAsync();
            return soak;
        }
        catch
        {
            await soak.DisposeAsync();
            throw;
        }
    }

    private async Task AddAsync(int number)
    {
        var address = NetworkNamespaces.AddressOf(number);
        var site = new Site(NameOf(number), address) { NetworkNamespace = Hosts.Of(number), NewSocket = () => Hosts.NewSocket(number) };
        _sites.Add(site);
        var disk = Directory.CreateDirectory(Path.Combine(site.Directory, "disk")).FullName;
        (await Commands.RunAsync(["mount", "-t", "tmpfs", "-o", "size=256m", "cheops-soak", disk])).Succeeded();
        _disks.Add(disk);
        var last = new Dictionary<string, string>();
        var service = new NumbersService(address, 19000, site.NewSocket)
        {
            Executed = (method, key, change) =>
            {
                // The site's own things are nobody's operations.
                if (change.Length == 0) return;

                // What may be repeated, and is at once, happened once.
                if (method is "PUT" or "DELETE" && last.GetValueOrDefault(key) == change) return;
                last[key] = change;
                History.OnApplied(site.Name, key, change);
                Note(change, $"{site.Name}'s service carries out {method} on {key}");
            },
        };
        service.MakeLocal(10 * number);
        _services.Add(service);
        _clients.Add(Client.New(TimeSpan.FromSeconds(70), site.NewSocket));
        site.Services.Add(new FrontedService(NumbersSites.Service, service.Url, 18000));
        var profile = Path.Combine(site.Directory, "numbers.json");
        await File.WriteAllTextAsync(profile, NumbersSites.Profile);
        site.Settings["CHEOPS_PROFILES"] = profile;
        site.Settings["CHEOPS_DATA"] = Path.Combine(disk, "data");
    }

    /// <summary>A request of a client at a site.</summary>
    public Task<Answer> SendAsync(int site, HttpMethod method, string path, string? scope = null, string? body = null) =>
        Client.SendAsync(_clients[site - 1], method, this[site].Of(NumbersSites.Service), path, scope, body);

    /// <summary>A request to the API of a site's agent.</summary>
    public Task<Answer> AskAsync(int site, HttpMethod method, string path) =>
        Client.SendAsync(this[site].Api, method, new Uri(this[site].ApiUrl), path, null, method == HttpMethod.Post ? "" : null);

    /// <summary>The operations that a site still has open.</summary>
    public async Task<IReadOnlyList<JsonElement>> OpenAsync(int site) =>
        [.. (await AskAsync(site, HttpMethod.Get, "/_cheops/v1/operations")).Json.GetProperty("operations").EnumerateArray()];

    public Task LinkedAsync() => Task.WhenAll(
        from site in _sites from other in _sites where other != site select site.SeesAsync(other.Name, "up", TimeSpan.FromMinutes(2)));

    public string Logs() => string.Join("\n", _sites.Select(site => $"==== {site.Name}\n{site.Log}"));

    /// <summary>Writes down what every site holds, for the checkers: replicas, ids, and what is left to do.</summary>
    public async Task NoteRestAsync(IEnumerable<(string Key, IReadOnlyList<int> Sites)> replicants)
    {
        foreach (var (key, sites) in replicants)
        {
            foreach (var site in sites)
            {
                var things = Of(site).Things.Where(thing => thing.Key == key).Select(thing => thing.Value).ToArray();
                History.OnRest(NameOf(site), key, things.Length == 0 ? null : string.Join(" and ", things));
            }
        }

        for (var site = 1; site <= Count; site++)
        {
            History.OnRest(NameOf(site), "(all)", "", (await OpenAsync(site)).Count);
            var listed = (await AskAsync(site, HttpMethod.Get, "/_cheops/v1/replicants?limit=10000")).Json;
            foreach (var one in listed.GetProperty("replicants").EnumerateArray())
            {
                if (one.GetProperty("replicas").TryGetProperty(NameOf(site), out var replica) && replica.GetProperty("localId").GetString() is { } local)
                    History.OnMapped(NameOf(site), one.GetProperty("metaId").GetString()!, local);
            }
        }
    }

    /// <summary>The number of a change, from the request that asked for it.</summary>
    public static string NumberIn(string request)
    {
        var at = request.LastIndexOf("op=", StringComparison.Ordinal);
        return at < 0 ? "" : string.Concat(request[(at + 3)..].TakeWhile(char.IsAsciiDigit));
    }

    public static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services) await service.DisposeAsync();
        foreach (var client in _clients) client.Dispose();
        for (var number = 1; number <= _sites.Count; number++)
        {
            // The agent first: it holds files on the disk.
            var site = this[number];
            await site.EndAsync();
            if (number <= _disks.Count) await Commands.RunAsync(["umount", "-l", DiskOf(number)]);
            await site.DisposeAsync();
        }

        await Hosts.DisposeAsync();
    }
}
