using System.Collections.Concurrent;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Two sites create what has the same name, at the same moment, in different groups that share a site.</summary>
public sealed class SameNameTests : IAsyncLifetime
{
    private const string Profile = """
        { "profile": "names", "services": { "names": { "resources": { "names": { "collection": "/v1/names", "id": "name", "idChosenBy": "client" } } } } }
        """;

    private readonly ConcurrentDictionary<(string Site, string Name), string> _made = new();
    private readonly List<RestService> _services = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var service in _services) await service.DisposeAsync();
    }

    [Fact]
    public async Task TheSiteThatBothShareHasOneOfThemAndShowsThatTheOtherFailed()
    {
        await using var mesh = await Mesh.StartAsync(3, SetUp);
        var answers = await Task.WhenAll(CreateAsync(mesh[1], "Site1 & Site2", "first"), CreateAsync(mesh[3], "Site2 & Site3", "third"));
        Assert.Equal([201, 201], answers.Select(answer => answer.Status));

        var failed = default(JsonElement);
        await Wait.UntilAsync(
            "one of them failed at Site2",
            async () =>
            {
                var open = (await Client.GetAsync(new Uri(mesh[2].ApiUrl), "/_cheops/v1/operations")).Json.GetProperty("operations").EnumerateArray().ToArray();
                failed = open.FirstOrDefault(one => one.GetProperty("diverged").GetBoolean());
                return open.Length == 1 && failed.ValueKind == JsonValueKind.Object;
            },
            more: mesh.Logs);
        var there = failed.GetProperty("sites").GetProperty("Site2");
        Assert.Equal(("failed", 409), (there.GetProperty("step").GetString(), there.GetProperty("status").GetInt32()));
        Assert.Contains("taken", there.GetProperty("answer").GetString(), StringComparison.Ordinal);

        // Everyone has what was created there; at Site2 it is what was carried out first.
        var loser = failed.GetProperty("origin").GetString();
        Assert.Equal(("first", "third"), (_made[("Site1", "web")], _made[("Site3", "web")]));
        Assert.Equal(loser == "Site1" ? "third" : "first", _made[("Site2", "web")]);

        // A person leaves it at that: nothing is open any more, and each keeps its own.
        (await mesh[2].CheopsAsync("operations", "skip", failed.GetProperty("id").GetString()!)).Succeeded();
        await Wait.UntilAsync(
            "nothing is open",
            async () => (await Client.GetAsync(new Uri(mesh[2].ApiUrl), "/_cheops/v1/operations")).Json.GetProperty("operations").GetArrayLength() == 0,
            more: mesh.Logs);
        Assert.Equal(3, _made.Count);
    }

    private static Task<Answer> CreateAsync(Site at, string scope, string text) =>
        Client.PostAsync(at.Of("names"), "/v1/names", JsonSerializer.Serialize(new { name = "web", text }), scope);

    private void SetUp(Site site)
    {
        var service = new RestService(call => AnswerAsync(site.Name, call), site.Address, 19000);
        _services.Add(service);
        site.Services.Add(new FrontedService("names", service.Url, 18000));
        var profile = Path.Combine(site.Directory, "names.json");
        File.WriteAllText(profile, Profile);
        site.Settings["CHEOPS_PROFILES"] = profile;
    }

    private async Task AnswerAsync(string site, RestCall call)
    {
        if (call.Method == "POST")
        {
            using var body = JsonDocument.Parse(await call.BodyAsync());
            var name = body.RootElement.GetProperty("name").GetString()!;
            if (_made.TryAdd((site, name), body.RootElement.GetProperty("text").GetString()!)) await call.AnswerJsonAsync(201, body.RootElement.GetRawText());
            else await call.AnswerJsonAsync(409, """{"error":"the name is taken"}""");
            return;
        }

        var named = call.Target.Split('/', '?')[^1];
        if (_made.TryGetValue((site, named), out var text)) await call.AnswerJsonAsync(200, JsonSerializer.Serialize(new { name = named, text }));
        else await call.AnswerJsonAsync(404, "{}");
    }
}
