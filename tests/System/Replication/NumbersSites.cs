using System.Globalization;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Sites with a <see cref="NumbersService"/> each, whose integers differ from site to site.</summary>
internal sealed class NumbersSites : IAsyncDisposable
{
    public const string Service = "numbers";

    public const string Profile = """
        { "profile": "numbers", "services": { "numbers": { "resources": {
            "things": { "collection": "/v1/things", "naturalKey": ["key"], "actions": { "/add": "operation" } } } } } }
        """;

    private static readonly HttpClient Impatient = Client.New(TimeSpan.FromSeconds(20));

    private readonly List<NumbersService> _services;

    private NumbersSites(Mesh mesh, List<NumbersService> services) => (Mesh, _services) = (mesh, services);

    public Mesh Mesh { get; }

    /// <summary>The sites that replicate in the scope of most tests.</summary>
    public string Scope { get; private init; } = "";

    public NumbersService Of(int site) => _services[site - 1];

    /// <summary>Starts sites.</summary>
    /// <param name="count">How many.</param>
    /// <param name="replicas">How many of them are in <see cref="Scope"/>.</param>
    /// <param name="setUp">What else is set at each site before it starts.</param>
    public static async Task<NumbersSites> StartAsync(int count, int replicas, Action<Site>? setUp = null)
    {
        var services = new List<NumbersService>();
        try
        {
            var mesh = await Mesh.StartAsync(count, site =>
            {
                var service = new NumbersService(site.Address, 19000);
                service.MakeLocal(10 * (services.Count + 1));
                services.Add(service);
                site.Services.Add(new FrontedService(Service, service.Url, 18000));
                var profile = Path.Combine(site.Directory, "numbers.json");
                File.WriteAllText(profile, Profile);
                site.Settings["CHEOPS_PROFILES"] = profile;
                setUp?.Invoke(site);
            });
            return new NumbersSites(mesh, services) { Scope = string.Join(" & ", Enumerable.Range(1, replicas).Select(site => $"Site{site}")) };
        }
        catch
        {
            foreach (var service in services) await service.DisposeAsync();
            throw;
        }
    }

    // ---- what clients do --------------------------------------------------------------------------------------------

    public Task<Answer> CreateAsync(int site, string key, string value = "0") =>
        Client.PostAsync(Mesh[site].Of(Service), "/v1/things", JsonSerializer.Serialize(new { key, value }), Scope);

    /// <summary>Creates a thing and tells its meta-id.</summary>
    public async Task<string> CreatedAsync(int site, string key, string value = "0")
    {
        var answer = await CreateAsync(site, key, value);
        Assert.True(answer.Status is 200 or 201, $"{answer.Status}: {answer.Body}\n{Mesh.Logs()}");
        return MetaIdOf(answer);
    }

    public static string MetaIdOf(Answer created) => created.Json.GetProperty("id").GetInt64().ToString(CultureInfo.InvariantCulture);

    public Task<Answer> PutAsync(int site, string metaId, string key, string value, string? scope = null) =>
        Client.SendAsync(HttpMethod.Put, Mesh[site].Of(Service), $"/v1/things/{metaId}", scope, JsonSerializer.Serialize(new { key, value }));

    public Task<Answer> AddAsync(int site, string metaId, int n) =>
        Client.PostAsync(Mesh[site].Of(Service), $"/v1/things/{metaId}/add", JsonSerializer.Serialize(new { n }));

    public Task<Answer> GetAsync(int site, string metaId) => Client.GetAsync(Mesh[site].Of(Service), $"/v1/things/{metaId}");

    // ---- what must hold in the end ----------------------------------------------------------------------------------------

    /// <summary>What a site's agent tells of its open operations.</summary>
    public async Task<IReadOnlyList<JsonElement>> OperationsAsync(int site)
    {
        using var document = JsonDocument.Parse(await Impatient.GetStringAsync(new Uri($"{Mesh[site].ApiUrl}/_cheops/v1/operations")));
        return [.. document.RootElement.GetProperty("operations").EnumerateArray().Select(one => one.Clone())];
    }

    /// <summary>What a site's agent tells of one operation, at once or when it is finished within some seconds.</summary>
    public Task<Answer> OperationAsync(int site, string id, int waitSeconds = 0) =>
        Client.GetAsync(new Uri(Mesh[site].ApiUrl), $"/_cheops/v1/operations/{id}?wait={waitSeconds}");

    /// <summary>What a site's agent tells of the one group.</summary>
    public async Task<JsonElement> GroupAsync(int site)
    {
        using var document = JsonDocument.Parse(await Impatient.GetStringAsync(new Uri($"{Mesh[site].ApiUrl}/_cheops/v1/groups")));
        return document.RootElement.GetProperty("groups")[0].Clone();
    }

    /// <summary>Makes a site lead the group of <see cref="Scope"/>.</summary>
    public async Task LeadAsync(int site)
    {
        var group = await GroupAsync(site);
        var led = await Client.PostAsync(new Uri(Mesh[site].ApiUrl), $"/_cheops/v1/groups/{group.GetProperty("id").GetString()}/lead/Site{site}", "");
        Assert.True(led.Status == 200, $"{led.Status}: {led.Body}\n{Mesh.Logs()}");
    }

    /// <summary>Waits until an operation waits for a site alone, as another one tells, or it itself.</summary>
    public Task WaitsForAsync(int site, int? at = null) => Wait.UntilAsync(
        $"an operation waits for Site{site} alone",
        async () => (await OperationsAsync(at ?? site)).Any(one => one.GetProperty("sites").EnumerateObject()
            .All(step => (step.Value.GetProperty("step").GetString() == "pending") == (step.Name == $"Site{site}"))),
        more: Mesh.Logs);

    /// <summary>Waits until no site has anything left to do.</summary>
    public async Task QuietAsync(params int[] sites)
    {
        var last = "";
        foreach (var site in sites.Length > 0 ? sites : [.. Enumerable.Range(1, Mesh.Sites.Count)])
        {
            await Wait.UntilAsync(
                $"no operation is left at Site{site}",
                async () =>
                {
                    var open = await OperationsAsync(site);
                    last = string.Join('\n', open.Take(10));
                    return open.Count == 0;
                },
                TimeSpan.FromSeconds(90),
                () => $"{last}\n{Mesh.Logs()}");
        }
    }

    /// <summary>The one thing of that key at a site's service.</summary>
    public Thing ThingAt(int site, string key)
    {
        var found = Of(site).Things.Where(thing => thing.Key == key).ToArray();
        Assert.True(found.Length == 1, $"Site{site} has {found.Length} things of key {key}: {string.Join(", ", (object[])found)}\n{Mesh.Logs()}");
        return found[0];
    }

    /// <summary>Checks that a replicant is at every site once, with the same history, and is found there by its meta-id.</summary>
    public async Task AssertReplicatedAsync(string key, string? metaId, params int[] sites)
    {
        var first = Of(sites[0]).ValuesOf(key);
        foreach (var site in sites)
        {
            ThingAt(site, key);
            Assert.True(first.SequenceEqual(Of(site).ValuesOf(key)), $"{key} at Site{sites[0]}: {string.Join(' ', first)}\nat Site{site}: {string.Join(' ', Of(site).ValuesOf(key))}\n{Mesh.Logs()}");
            if (metaId is null) continue;
            var seen = await GetAsync(site, metaId);
            Assert.True(seen.Status == 200, $"{key} as {metaId} at Site{site}: {seen.Status} {seen.Body}\n{Mesh.Logs()}");
            Assert.Equal(key, seen.Json.GetProperty("key").GetString());
            Assert.Equal(metaId, MetaIdOf(seen));
        }
    }

    /// <summary>Checks that nothing of that key is anywhere.</summary>
    public void AssertNowhere(string key)
    {
        foreach (var service in _services) Assert.DoesNotContain(service.Things, thing => thing.Key == key);
    }

    public async ValueTask DisposeAsync()
    {
        await Mesh.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
    }
}
