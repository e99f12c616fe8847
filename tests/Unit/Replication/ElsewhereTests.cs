using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Identity;
using Cheops.Agent.Mesh;
using Cheops.Agent.Replication;
using Cheops.Proto;
using Cheops.Tests.Unit.Collaboration;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Requests without a scope at a site that is none of the replicant's.</summary>
public sealed class ElsewhereTests : IAsyncLifetime
{
    private const string Pods = "/api/v1/namespaces/a/pods";
    private const string Things = "/v1/things";
    private const string Json = "Content-Type: application/json\r\n";
    private const string Both = "Scope: Site1 & Site2\r\n" + Json;

    private readonly string[] _names = ["Site1", "Site2", "Site3", "Site4", "Site5"];
    private readonly SimulatedSites _sites = new("Site1", "Site2", "Site3", "Site4", "Site5");
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly Dictionary<string, Store> _stores = [];
    private readonly List<StreamOpening> _opened = [];
    private CredentialSeal _seal = null!;

    public Task InitializeAsync()
    {
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        foreach (var name in _names)
        {
            var store = _stores[name] = new Store(100 * (_stores.Count + 1));
            foreach (var service in (string[])["kube", "shop"]) _sites[name].Services[service] = store.AnswerAsync;
        }

        _sites["Site3"].Opening = (_, opening) =>
        {
            lock (_opened) _opened.Add(opening);
        };
        return _sites.ReplicateAsync(1, _seal);
    }

    public async Task DisposeAsync()
    {
        foreach (var name in _names) Assert.Empty(_sites[name].Errors);
        await _sites.DisposeAsync();
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }

    private Task<Asked> AskAsync(string site, string service, string method, string target, string fields = "", string body = "") =>
        _sites.WithTimeAsync(_sites[site].AskAsync(service, method, target, fields, body));

    private Task<Asked> MakePodAsync(string site, string scope, string name) => AskAsync(site, "kube", "POST", Pods, scope + Json, $$$"""{"metadata":{"name":"{{{name}}}"}}""");

    private async Task<string> MakeThingAsync(string site, string scope)
    {
        var made = await AskAsync(site, "shop", "POST", Things, scope + Json, """{"value":"made"}""");
        Assert.Equal("201", Status(made));
        await QuietAsync();
        return $"{Things}/{JsonDocument.Parse(made.Body).RootElement.GetProperty("id").GetInt64().ToString(CultureInfo.InvariantCulture)}";
    }

    private Task QuietAsync() => _sites.UntilAsync(
        "no operation is open", () => _names.All(site => _sites[site].Replicator!.Groups.All(runner => runner.Look(state => state.OpenCount == 0))));

    private Task ForgetAsync()
    {
        var from = _sites.Time.GetTimestamp();
        return _sites.UntilAsync("what was said is forgotten", () => _sites.Time.GetElapsedTime(from) > TimeSpan.FromMilliseconds(Bounds.ElsewhereKeepMs));
    }

    private int QuestionsAsked()
    {
        lock (_opened) return _opened.Count(opening => opening.Service == Elsewhere.LinkService);
    }

    private static string Status(Asked answer) => answer.FirstLine.Split(' ')[1];

    // The answer of the store at Site3, as it would be without any other site.
    private static void AssertOwn404(Asked answer)
    {
        Assert.Equal("404", Status(answer));
        Assert.Equal("Site3", answer.Field("Cheops-Site"));
        Assert.Contains(Store.NotThere, answer.Body, StringComparison.Ordinal);
        Assert.Null(answer.Field("Cheops-Error"));
        Assert.Null(answer.Field("Cheops-Replicas"));
    }

    [Fact]
    public async Task By_its_meta_id_a_replicant_is_read_changed_and_deleted_from_any_site()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        var read = await AskAsync("Site3", "shop", "GET", thing);
        Assert.Equal(("200", "Site1"), (Status(read), read.Field("Cheops-Site")));
        Assert.Contains("Site2=applied", read.Field("Cheops-Replicas"), StringComparison.Ordinal);
        Assert.Contains($"\"id\":{thing[(Things.Length + 1)..]},", read.Body, StringComparison.Ordinal);

        var put = await AskAsync("Site3", "shop", "PUT", thing, Json, """{"value":"put"}""");
        Assert.True(Status(put) == "200", put.ToString());
        Assert.NotNull(put.Field("Cheops-Operation"));
        await QuietAsync();
        Assert.Equal([["put"], ["put"], []], _names.Take(3).Select(site => _stores[site].Values));

        Assert.Equal("200", Status(await AskAsync("Site3", "shop", "DELETE", thing)));
        await QuietAsync();
        Assert.All(_stores.Values, store => Assert.Empty(store.Values));
        AssertOwn404(await AskAsync("Site3", "shop", "GET", thing));
        await ForgetAsync();
        AssertOwn404(await AskAsync("Site3", "shop", "GET", thing));
    }

    [Fact]
    public async Task A_delete_that_comes_twice_deletes_no_replicant_of_that_name_elsewhere()
    {
        await MakePodAsync("Site1", "Scope: Site1 & Site2\r\n", "web");
        await QuietAsync();
        Assert.Equal("Site1", (await AskAsync("Site3", "kube", "GET", $"{Pods}/web")).Field("Cheops-Site"));
        Assert.Equal("201", Status(await MakePodAsync("Site3", "", "web")));
        var first = await AskAsync("Site3", "kube", "DELETE", $"{Pods}/web");
        Assert.Equal(("200", "Site3"), (Status(first), first.Field("Cheops-Site")));
        foreach (var method in (string[])["DELETE", "GET", "DELETE"]) AssertOwn404(await AskAsync("Site3", "kube", method, $"{Pods}/web"));
        await ForgetAsync();
        AssertOwn404(await AskAsync("Site3", "kube", "DELETE", $"{Pods}/web"));
        Assert.Equal([1, 1, 0], _names.Take(3).Select(site => _stores[site].Values.Count));

        // A site that had none of that name means the replicant.
        Assert.Equal("200", Status(await AskAsync("Site4", "kube", "DELETE", $"{Pods}/web")));
        await QuietAsync();
        Assert.All(_stores.Values, store => Assert.Empty(store.Values));
    }

    [Fact]
    public async Task By_its_name_a_replicant_is_changed_unless_something_here_has_that_name()
    {
        await MakePodAsync("Site1", "Scope: Site1 & Site2\r\n", "web");
        await QuietAsync();
        var patched = await AskAsync("Site3", "kube", "PATCH", $"{Pods}/web?fieldManager=k", "Content-Type: application/merge-patch+json\r\n", """{"value":"patched"}""");
        Assert.Equal("200", Status(patched));
        await QuietAsync();
        Assert.Equal([["patched"], ["patched"], []], _names.Take(3).Select(site => _stores[site].Values));

        await MakePodAsync("Site3", "", "web");
        await AskAsync("Site3", "kube", "PUT", $"{Pods}/web", Json, """{"value":"own"}""");
        Assert.Equal("Site3", (await AskAsync("Site3", "kube", "GET", $"{Pods}/web")).Field("Cheops-Site"));
        Assert.Equal("200", Status(await AskAsync("Site3", "kube", "DELETE", $"{Pods}/web")));
        await QuietAsync();
        Assert.Equal([["patched"], ["patched"], []], _names.Take(3).Select(site => _stores[site].Values));
    }

    [Fact]
    public async Task What_other_sites_call_it_locally_is_no_name_here()
    {
        await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        AssertOwn404(await AskAsync("Site3", "shop", "DELETE", $"{Things}/100"));
        AssertOwn404(await AskAsync("Site3", "shop", "GET", $"{Things}/200"));
        Assert.Equal(4, QuestionsAsked());
    }

    [Fact]
    public async Task Where_ids_are_translated_it_gets_the_request_as_the_client_sent_it()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        await MakeThingAsync("Site3", "Scope: Site3 & Site4\r\n");
        Assert.Equal("200", Status(await AskAsync("Site3", "shop", "PUT", thing, Json, """{"value":"put"}""")));
        await QuietAsync();
        Assert.Equal(["put"], _stores["Site2"].Values);
        AssertOwn404(await AskAsync("Site3", "shop", "PUT", $"{Things}/7", Json, """{"value":"put"}"""));
    }

    [Fact]
    public async Task Of_different_replicants_of_one_name_none_is_meant()
    {
        await MakePodAsync("Site1", "Scope: Site1 & Site2\r\n", "web");
        await MakePodAsync("Site4", "Scope: Site4 & Site5\r\n", "web");
        await QuietAsync();
        AssertOwn404(await AskAsync("Site3", "kube", "DELETE", $"{Pods}/web"));
        Assert.Equal(4, _stores.Values.Sum(store => store.Values.Count));
    }

    [Fact]
    public async Task A_site_that_is_cut_off_answers_by_itself()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        foreach (var name in (string[])["Site1", "Site2"]) _sites.Down.Add(name);
        AssertOwn404(await AskAsync("Site3", "shop", "PUT", thing, Json, """{"value":"put"}"""));
        Assert.Equal(0, QuestionsAsked());
        _sites.Down.Remove("Site2");
        await ForgetAsync();
        Assert.Equal("Site2", (await AskAsync("Site3", "shop", "GET", thing)).Field("Cheops-Site"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_link_that_breaks_leaves_the_answer_from_here(bool whenItIsAsked)
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        _sites["Site3"].Opening = (to, opening) =>
        {
            if (opening.Service == Elsewhere.LinkService == whenItIsAsked) throw new LinkException(to, LinkError.SiteDown, "just now");
        };
        AssertOwn404(await AskAsync("Site3", "shop", "PUT", thing, Json, """{"value":"put"}"""));
        AssertOwn404(await AskAsync("Site3", "shop", "GET", thing));
        Assert.Equal([["made"], ["made"]], _names.Take(2).Select(site => _stores[site].Values));
    }

    [Fact]
    public async Task A_replicant_that_is_gone_since_it_was_asked_for_leaves_the_answer_from_here()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        Assert.Equal("200", Status(await AskAsync("Site3", "shop", "GET", thing)));
        await AskAsync("Site1", "shop", "DELETE", thing);
        await QuietAsync();
        AssertOwn404(await AskAsync("Site3", "shop", "GET", thing));
        AssertOwn404(await AskAsync("Site3", "shop", "PUT", thing, Json, """{"value":"put"}"""));
    }

    [Fact]
    public async Task A_flood_of_what_does_not_exist_stays_cheap()
    {
        AssertOwn404(await AskAsync("Site3", "shop", "GET", $"{Things}/1"));
        Assert.Equal(0, QuestionsAsked());
        await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        var begun = _sites.Time.GetTimestamp();
        for (var i = 0; i < 100; i++) AssertOwn404(await _sites["Site3"].AskAsync("shop", "GET", $"{Things}/1"));
        Assert.Equal(2, QuestionsAsked());
        for (var i = 0; i < 400; i++) AssertOwn404(await _sites["Site3"].AskAsync("shop", "GET", $"{Things}/{i + 2}"));
        Assert.Equal(TimeSpan.Zero, _sites.Time.GetElapsedTime(begun));
        Assert.Equal(2 * Bounds.ElsewhereKeptMax, QuestionsAsked());
        Assert.Equal((Bounds.ElsewhereKeptMax, 400 + 1 - Bounds.ElsewhereKeptMax), (_sites["Site3"].Elsewhere!.AsksMade, _sites["Site3"].Elsewhere!.AsksLeft));
        await ForgetAsync();
        AssertOwn404(await AskAsync("Site3", "shop", "GET", $"{Things}/1"));
        Assert.Equal(2 * (Bounds.ElsewhereKeptMax + 1), QuestionsAsked());
    }

    [Theory]
    [InlineData("GET", Pods, "", "")]
    [InlineData("DELETE", Pods, "", "")]
    [InlineData("GET", "/api/v1/nodes/web", "", "")]
    [InlineData("GET", Pods + "/web/log?follow=true", "", "")]
    [InlineData("POST", Pods + "/web/exec", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n", "")]
    [InlineData("GET", Pods + "/web", "Scope: Site3\r\n", "")]
    [InlineData("OPTIONS", Pods + "/web", "", "")]
    [InlineData("POST", Pods + "/web/eviction", Json, "{}")]
    public async Task What_is_about_no_single_resource_or_meant_for_here_stays_here(string method, string target, string fields, string body)
    {
        await MakePodAsync("Site1", "Scope: Site1 & Site2\r\n", "web");
        await QuietAsync();
        var asks = target.EndsWith("eviction", StringComparison.Ordinal);
        var answer = await AskAsync("Site3", "kube", method, target, fields, body);
        Assert.Equal(asks ? "422" : "404", Status(answer));
        Assert.Equal(asks ? 2 : 0, QuestionsAsked());
    }

    [Fact]
    public async Task A_scope_that_says_nothing_of_the_service_is_as_none()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        Assert.Equal("Site1", (await AskAsync("Site3", "shop", "GET", thing, "Scope: items: Site3\r\n")).Field("Cheops-Site"));
        Assert.Equal("200", Status(await AskAsync("Site3", "shop", "PUT", thing, "Scope: items: Site3\r\n" + Json, """{"value":"put"}""")));
        await QuietAsync();
        Assert.Equal(["put"], _stores["Site2"].Values);
    }

    [Theory]
    [InlineData(100_000, "200")]
    [InlineData(300_000, "404")]
    public async Task A_body_that_was_read_and_is_too_large_to_keep_goes_nowhere_else(int size, string status)
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        var answer = await AskAsync("Site3", "shop", "PUT", thing, "Content-Type: text/plain\r\n", $$"""{"value":"put","pad":"{{new string('x', size)}}"}""");
        Assert.Equal(status, Status(answer));
        await QuietAsync();
        Assert.Equal([status == "200" ? "put" : "made"], _stores["Site2"].Values);
    }

    [Fact]
    public async Task A_large_body_that_the_client_has_not_sent_yet_goes_on()
    {
        var thing = await MakeThingAsync("Site1", "Scope: Site1 & Site2\r\n");
        _sites["Site3"].AnswerHeads.Add("shop");
        var body = $$"""{"value":"put","pad":"{{new string('x', 300_000)}}"}""";
        var answer = await AskAsync("Site3", "shop", "PUT", thing, "Content-Type: text/plain\r\nExpect: 100-continue\r\n", body);
        Assert.True(Status(answer) == "200", answer.ToString());
        await QuietAsync();
        Assert.Equal(["put"], _stores["Site2"].Values);
        AssertOwn404(await AskAsync("Site3", "shop", "PUT", $"{Things}/7", "Content-Type: text/plain\r\nExpect: 100-continue\r\n", body));
    }

    /// <summary>What stands at paths: named by what is created, else by a number of its own.</summary>
    private sealed class Store(int next)
    {
        public const string NotThere = """{"message":"there is no such thing"}""";

        private readonly SortedDictionary<string, string> _values = new(StringComparer.Ordinal);
        private int _next = next;

        public IReadOnlyList<string> Values
        {
            get
            {
                lock (_values) return [.. _values.Values];
            }
        }

        public Task<string?> AnswerAsync(Asked asked)
        {
            var words = asked.FirstLine.Split(' ');
            lock (_values) return Task.FromResult<string?>(Answer(words[0], words[1].Split('?')[0], asked.Body));
        }

        private string Answer(string method, string path, string body)
        {
            if (method == "POST" && path is Pods or Things) return Make(path, JsonDocument.Parse(body).RootElement);
            if (!_values.TryGetValue(path, out var value)) return SimulatedSites.Answer(404, NotThere, Json);
            if (method == "DELETE") _values.Remove(path);
            if (method is "PUT" or "PATCH") _values[path] = value = JsonDocument.Parse(body).RootElement.GetProperty("value").GetString()!;
            return SimulatedSites.Answer(200, Text(path, value), Json);
        }

        private string Make(string path, JsonElement body)
        {
            var name = body.TryGetProperty("metadata", out var metadata) ? metadata.GetProperty("name").GetString()! : (_next++).ToString(CultureInfo.InvariantCulture);
            var value = _values[$"{path}/{name}"] = body.TryGetProperty("value", out var given) ? given.GetString()! : "";
            return SimulatedSites.Answer(201, Text($"{path}/{name}", value), Json);
        }

        private static string Text(string path, string value)
        {
            var name = path[(path.LastIndexOf('/') + 1)..];
            return path.StartsWith(Pods, StringComparison.Ordinal) ? $$$"""{"metadata":{"name":"{{{name}}}"},"value":"{{{value}}}"}""" : $$"""{"id":{{name}},"value":"{{value}}"}""";
        }
    }
}
