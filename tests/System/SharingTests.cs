using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>Three sites with services that tell where they are: "front" asks "back" on behalf of its clients.</summary>
public sealed class ThreeSites : IAsyncLifetime
{
    private readonly List<RestService> _services = [];

    internal Mesh Mesh { get; private set; } = null!;

    public async Task InitializeAsync() => Mesh = await Mesh.StartAsync(3, site =>
    {
        // Which field "front" hands on to "back" is the query of its target.
        Add(site, "back", 18001, call => call.AnswerJsonAsync(200, $$"""{"site":"{{site.Name}}"}"""));
        Add(site, "front", 18002, async call =>
        {
            if (call.Target.StartsWith("/missing", StringComparison.Ordinal) && site.Name == "Site1")
            {
                await call.AnswerJsonAsync(404, """{"error":"not here"}""");
                return;
            }

            var handedOn = call.Target.Split('?').Last();
            var fields = call.Head[handedOn] is { } value ? new[] { (handedOn, value) } : [];
            var back = await Client.GetAsync(site.Of("back"), "/", null, fields);
            await call.AnswerJsonAsync(call.Method == "POST" ? 201 : 200, $$"""{"site":"{{site.Name}}","back":{{back.Body}},"prefix":"{{call.Head["X-Forwarded-Prefix"]}}","target":"{{call.Target}}"}""");
        });
    });

    public async Task DisposeAsync()
    {
        await Mesh.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
    }

    private void Add(Site site, string name, int port, Func<RestCall, Task> handler)
    {
        var service = new RestService(handler);
        _services.Add(service);
        site.Services.Add(new FrontedService(name, service.Url, port));
    }
}

/// <summary>Scopes carried out by three agents.</summary>
public sealed class SharingTests(ThreeSites sites) : IClassFixture<ThreeSites>
{
    private readonly Mesh _mesh = sites.Mesh;

    [Fact]
    public async Task WithoutScopeEverythingIsHere()
    {
        var answer = await Client.GetAsync(_mesh[2].Of("front"), "/a%2Fb?x");
        Assert.Equal(("Site2", "Site2", "Site2", "/a%2Fb?x"), (answer.Site, Text(answer, "site"), BackOf(answer), Text(answer, "target")));
    }

    [Theory]
    [InlineData("Site2", "Site2")]
    [InlineData("front: Site3", "Site3")]
    [InlineData("{front: Site2, back: Site3}", "Site2")]
    [InlineData("front/Site2", "Site2")]
    [InlineData("back: Site2", "Site1")]
    [InlineData("*: Site3", "Site3")]
    [InlineData("here", "Site1")]
    [InlineData("Site9 ; Site2", null)]
    public async Task TheHeaderSaysWhere(string scope, string? expected)
    {
        var answer = await Client.GetAsync(_mesh[1].Of("front"), "/", scope);
        if (expected is null)
        {
            Assert.Contains("Site2", answer.Problem(422, "plan", true).ToString(), StringComparison.Ordinal);
            return;
        }

        Assert.Equal((200, expected, expected), (answer.Status, answer.Site, Text(answer, "site")));
    }

    [Fact]
    public async Task ThePathPrefixSaysWhereAndIsToldToTheService()
    {
        var answer = await Client.GetAsync(_mesh[1].Of("front"), "/@Site3/v1/a?b");
        Assert.Equal(("Site3", "/v1/a?b", "/@Site3"), (answer.Site, Text(answer, "target"), Text(answer, "prefix")));
        Assert.Equal("Site2", (await Client.GetAsync(_mesh[1].Of("front"), "/@%7Bfront:%20Site2%7D/")).Site);
    }

    [Theory]
    [InlineData("X-Request-ID")]
    [InlineData("traceparent")]
    [InlineData("baggage")]
    [InlineData("Scope")]
    public async Task SubRequestsFollowTheirWorkflow(string handedOn)
    {
        foreach (var (scope, front, back) in new[]
        {
            ("{back: Site2, front: Site1}", "Site1", "Site2"), ("{back: Site1, front: Site2}", "Site2", "Site1"),
            ("{back: Site3, front: Site2}", "Site2", "Site3"), ("front: Site2", "Site2", "Site2"),
        })
        {
            var answer = await Client.GetAsync(_mesh[1].Of("front"), $"/?{handedOn}", scope);
            Assert.True(answer.Status == 200, answer.Body);
            Assert.Equal((front, back), (Text(answer, "site"), BackOf(answer)));
        }
    }

    [Fact]
    public async Task OtherwiseGoesOnWhenALocationRefuses()
    {
        var answer = await Client.PostAsync(_mesh[1].Of("front"), "/missing", """{"a":1}""", "Site1 ; Site2 ; Site3");
        Assert.Equal((201, "Site2"), (answer.Status, answer.Site));
        Assert.Equal("Site1;outcome=refused;status=404, Site2;outcome=answered;status=201", answer.Plan);
    }

    [Fact]
    public async Task MistakesAreAnsweredBeforeAnythingIsExecuted()
    {
        var invalid = (await Client.GetAsync(_mesh[1].Of("front"), "/", "front: Site1 ;; Site2")).Problem(400, "scope", true);
        Assert.True(invalid.GetProperty("column").GetInt32() > 0);
        (await Client.GetAsync(_mesh[1].Of("front"), "/", "front: Site1, front: Site2")).Problem(400, "scope", true);
        (await Client.GetAsync(_mesh[1].Of("front"), "/", "nothere: Site1")).Problem(422, "plan", true);
        Assert.Contains("&&", (await Client.GetAsync(_mesh[1].Of("front"), "/", "Site1 && Site2 ; Site1")).Problem(501, "plan", true).ToString(), StringComparison.Ordinal);
        Assert.Contains("%", (await Client.GetAsync(_mesh[1].Of("front"), "/", "Site1 % Site2")).Problem(501, "plan", true).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheCommandLineTellsOfSitesAndScopes()
    {
        var sites = (await _mesh[1].CheopsAsync("sites")).Succeeded().Output;
        Assert.All(_mesh.Sites, site => Assert.Contains(site.Name, sites, StringComparison.Ordinal));
        var plan = (await _mesh[1].CheopsAsync("scope", "explain", "around(here, 10s) ; Site1", "--service", "front")).Succeeded().Output;
        Assert.Contains("latency", plan, StringComparison.Ordinal);
        Assert.Equal(2, (await _mesh[1].CheopsAsync("scope", "explain", "Site1 ;", "--service", "front")).ExitCode);
        var ran = (await _mesh[1].CheopsAsync("run", "--scope", "front: Site2", "--", "curl", "-s", _mesh[1].Of("front").ToString())).Succeeded();
        Assert.Contains("\"site\":\"Site2\"", ran.Output, StringComparison.Ordinal);
        Assert.Equal("200", (await Client.GetAsync(_mesh[1].Of("front"), "/", "around(here, 10s)")).Status.ToString(global::System.Globalization.CultureInfo.InvariantCulture));
    }

    private static string? Text(Answer answer, string name) => answer.Json.GetProperty(name).GetString();

    private static string? BackOf(Answer answer) => answer.Json.GetProperty("back").GetProperty("site").GetString();
}
