using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>
/// A service that chooses integers as ids, or UUIDs, other ones at each site: whatever names a replicant, in paths, queries, lists, fields and
/// bodies of any size, is understood by each site's service, and clients see the same everywhere.
/// </summary>
public sealed class ReferenceTests : IAsyncLifetime
{
    private const string Profile = """
        { "profile": "shop", "services": { "shop": { "resources": {
            "items": { "collection": "/v1/items", "naturalKey": ["name"] },
            "orders": { "collection": "/v1/orders", "references": { "item": { "resource": "items", "dependency": "requirement" }, "more[].item": { "resource": "items", "dependency": "requirement" } } } } } } }
        """;

    private const string Both = "Site1 & Site2";

    private static readonly HttpClient Http = Client.New(TimeSpan.FromSeconds(60));

    private readonly List<Shop> _shops = [];
    private Mesh _mesh = null!;

    public async Task InitializeAsync() => _mesh = await Mesh.StartAsync(3, site =>
    {
        var shop = new Shop(site.Address, 1000 * (_shops.Count + 1));
        _shops.Add(shop);
        site.Services.Add(new FrontedService("shop", shop.Url, 18000));
        var profile = Path.Combine(site.Directory, "shop.json");
        File.WriteAllText(profile, Profile);
        site.Settings["CHEOPS_PROFILES"] = profile;
    });

    public async Task DisposeAsync()
    {
        await _mesh.DisposeAsync();
        foreach (var shop in _shops) await shop.DisposeAsync();
    }

    private Task<Answer> GetAsync(int site, string path) => Client.GetAsync(_mesh[site].Of("shop"), path);

    // The answer, whose body is JSON; its length is told, or it comes in chunks.
    private async Task<(JsonNode Body, Uri? Location)> SendAsync(int site, HttpMethod method, string path, string? scope, string body, bool chunked = false)
    {
        using var request = new HttpRequestMessage(method, new Uri(_mesh[site].Of("shop"), path)) { Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json")) };
        if (scope is not null) request.Headers.Add("Scope", scope);
        if (chunked) request.Headers.TransferEncodingChunked = true;
        using var answer = await Http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode is HttpStatusCode.OK or HttpStatusCode.Created, $"{answer.StatusCode}: {text[..Math.Min(500, text.Length)]}\n{_mesh.Logs()}");
        return (JsonNode.Parse(text)!, answer.Headers.Location);
    }

    private static string IdOf(JsonNode node) => node["id"]!.ToString();

    private string Order(string first, string second, int size) =>
        $$"""{ "item":{{Written(first)}}, "text": "{{new string('t', size)}}", "more": [{"item":{{Written(second)}}},{"item": {{Written(first)}} }] }""";

    private string Written(string id) => _shops[0].IdNode(id).ToJsonString();

    // Which id a replica has is known to its site's agent a moment after its service has made it.
    private async Task ReplicatedAsync()
    {
        foreach (var site in (int[])[1, 2])
        {
            await Wait.UntilAsync(
                $"no operation is open at Site{site}",
                async () => JsonDocument.Parse(await _mesh[site].Api.GetStringAsync($"{_mesh[site].ApiUrl}/_cheops/v1/operations")).RootElement.GetProperty("operations").GetArrayLength() == 0,
                more: _mesh.Logs);
        }
    }

    [Theory]
    [InlineData(20, false, false)]
    [InlineData(20, true, false)]
    [InlineData(400_000, false, false)]
    [InlineData(400_000, true, false)]
    [InlineData(20, false, true)]
    [InlineData(400_000, true, true)]
    public async Task EachSitesServiceKnowsWhatIsNamedAndClientsSeeTheSame(int size, bool chunked, bool areUuids)
    {
        foreach (var shop in _shops) shop.MakesUuids = areUuids;
        var (one, two) = (await ItemAsync("one", 1), await ItemAsync("two", 2));
        await ReplicatedAsync();
        Assert.All((string[])["one", "two"], name => Assert.NotEqual(_shops[0].IdOf(name), _shops[1].IdOf(name)));
        Assert.All((string[])[one, two], id => Assert.Equal(areUuids, Guid.TryParseExact(id, "D", out _)));

        // An operation with references, from either site; and what belongs to one site alone.
        var orders = new List<string>();
        foreach (var site in (int[])[1, 2])
        {
            var (order, _) = await SendAsync(site, HttpMethod.Post, "/v1/orders", Both, Order(one, two, size), chunked);
            Assert.Equal((one, two), (order["item"]!.ToString(), order["more"]![0]!["item"]!.ToString()));
            orders.Add(IdOf(order));
            await ReplicatedAsync();
        }

        foreach (var shop in _shops.Take(2))
            Assert.All(shop.All.Values.Where(of => of["item"] is not null), of => Assert.Equal((shop.IdOf("one"), shop.IdOf("two")), (of["item"]!.ToString(), of["more"]![0]!["item"]!.ToString())));
        var (changed, _) = await SendAsync(2, HttpMethod.Put, $"/v1/orders/{orders[0]}", null, Order(two, one, size), chunked);
        Assert.Equal(two, changed["item"]!.ToString());
        await ReplicatedAsync();
        Assert.Contains(_shops[0].All.Values, of => of["item"]?.ToString() == _shops[0].IdOf("two"));
        var (own, location) = await SendAsync(2, HttpMethod.Post, "/v1/orders", null, Order(two, one, size), chunked);
        Assert.Equal((two, one), (own["item"]!.ToString(), own["more"]![0]!["item"]!.ToString()));
        Assert.Equal($"/v1/orders/{IdOf(own)}", location!.OriginalString);
        Assert.Equal(size > 256 * 1024 || chunked, _shops[1].LastWasChunked);

        // Lists, queries and links tell meta-ids at both sites.
        foreach (var site in (int[])[1, 2])
        {
            var listed = (await GetAsync(site, "/v1/items")).Json.EnumerateArray().Select(item => (item.GetProperty("id").ToString(), item.GetProperty("self").GetString())).ToArray();
            Assert.Equivalent(new[] { (one, $"/v1/items/{one}"), (two, $"/v1/items/{two}") }, listed);
            var found = (await GetAsync(site, $"/v1/orders?item={one}")).Json.EnumerateArray().ToArray();
            Assert.Equal(orders[1], Assert.Single(found).GetProperty("id").ToString());
            Assert.Equal(one, found[0].GetProperty("item").ToString());
            Assert.Equal(two, (await GetAsync(site, $"/v1/orders/{orders[0]}")).Json.GetProperty("item").ToString());
        }
    }

    private async Task<string> ItemAsync(string name, int site)
    {
        var (item, location) = await SendAsync(site, HttpMethod.Post, "/v1/items", Both, JsonSerializer.Serialize(new { name }));
        Assert.Equal($"/v1/items/{IdOf(item)}", location!.OriginalString);
        return IdOf(item);
    }

    /// <summary>Items, and orders of items that it has; everything is an object with an integer as <c>id</c>, or with a UUID.</summary>
    private sealed class Shop : IAsyncDisposable
    {
        private readonly RestService _rest;
        private long _last;

        public Shop(string address, long firstId) => (_rest, _last) = (new RestService(AnswerAsync, address, 19000), firstId);

        public string Url => _rest.Url;

        /// <summary>By their ids.</summary>
        public ConcurrentDictionary<string, JsonObject> All { get; } = [];

        /// <summary>Whether it chooses UUIDs.</summary>
        public bool MakesUuids { get; set; }

        /// <summary>An id as its bodies have it.</summary>
        public JsonValue IdNode(string id) => MakesUuids ? JsonValue.Create(id) : JsonValue.Create(long.Parse(id, CultureInfo.InvariantCulture));

        /// <summary>Whether the last change came in chunks.</summary>
        public bool LastWasChunked { get; private set; }

        public string IdOf(string name) => All.Single(one => one.Value["name"]?.ToString() == name).Key;

        public ValueTask DisposeAsync() => _rest.DisposeAsync();

        private async Task AnswerAsync(RestCall call)
        {
            var text = await call.BodyAsync();
            var (path, query) = call.Target.Split('?') is [var first, var second] ? (first, second) : (call.Target, "");
            var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
            if (call.Method != "GET") LastWasChunked = call.Head["Transfer-Encoding"] is not null;
            var body = call.Method == "GET" ? null : JsonNode.Parse(text)!.AsObject();
            if (body is not null && Missing(body) is { } missing)
            {
                await call.AnswerJsonAsync(422, $$"""{"unknown":"{{missing}}"}""");
            }
            else if (parts.Length == 2 && body is null)
            {
                var item = query.StartsWith("item=", StringComparison.Ordinal) ? query["item=".Length..] : null;
                var listed = All.Values.Where(of => of["self"]!.ToString().StartsWith(path, StringComparison.Ordinal) && (item is null || of["item"]!.ToString() == item));
                await call.AnswerJsonAsync(200, $"[{string.Join(',', listed.Select(of => of.ToJsonString()))}]");
            }
            else
            {
                var id = parts.Length == 3 ? parts[2]
                    : MakesUuids ? Guid.NewGuid().ToString()
                    : Interlocked.Increment(ref _last).ToString(CultureInfo.InvariantCulture);
                if (parts.Length == 3 && !All.ContainsKey(id))
                {
                    await call.AnswerJsonAsync(404, "{}");
                    return;
                }

                if (body is not null)
                {
                    (body["id"], body["self"]) = (IdNode(id), $"/v1/{parts[1]}/{id}");
                    All[id] = body;
                }

                (string, string)[] fields = [("Content-Type", "application/json"), .. parts.Length == 2 ? new[] { ("Location", $"/v1/{parts[1]}/{id}") } : []];
                await call.AnswerAsync(parts.Length == 2 ? 201 : 200, All[id].ToJsonString(), fields);
            }
        }

        private string? Missing(JsonObject body) => (body["more"]?.AsArray().Select(one => one!["item"]) ?? [])
            .Append(body["item"])
            .FirstOrDefault(item => item is not null && !(item.GetValueKind() == (MakesUuids ? JsonValueKind.String : JsonValueKind.Number) && All.GetValueOrDefault(item.ToString())?["name"] is not null))?.ToString();
    }
}
