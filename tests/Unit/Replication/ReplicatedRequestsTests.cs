using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Identity;
using Cheops.Agent.Replication;
using Cheops.Agent.Translation;
using Cheops.Proto.Operations;
using Cheops.Tests.Unit.Collaboration;
using Cheops.Tests.Unit.Translation;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Requests as they come from clients, at sites that replicate: what each site's service gets of them.</summary>
public sealed class ReplicatedRequestsTests : IAsyncLifetime
{
    private const string Pods = "/api/v1/namespaces/a/pods";
    private const string Both = "Scope: Site1 & Site2\r\n";
    private const string Json = "Content-Type: application/json\r\n";
    private const string Kept = """{"metadata":{"name":"kept"}}""";
    private const string Protobuf = "Content-Type: application/vnd.kubernetes.protobuf\r\n";

    private readonly SimulatedSites _sites = new("Site1", "Site2", "Site3");
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly Dictionary<string, Cluster> _clusters = [];
    private readonly OwnCredential _own = new();
    private CredentialSeal _seal = null!;

    public ReplicatedRequestsTests() => _sites["Site2"].Credentials = _own;

    public Task InitializeAsync()
    {
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        foreach (var name in (string[])["Site1", "Site2", "Site3"]) _sites[name].Services["kube"] = (_clusters[name] = new Cluster(name)).AnswerAsync;
        return _sites.ReplicateAsync(1, _seal);
    }

    public async Task DisposeAsync()
    {
        foreach (var name in (string[])["Site1", "Site2", "Site3"]) Assert.Empty(_sites[name].Errors);
        await _sites.DisposeAsync();
        _seal.Dispose();
        _directory.Delete(recursive: true);
    }

    private Task<Asked> AskAsync(string site, string method, string target, string fields = "", string body = "") =>
        _sites.WithTimeAsync(_sites[site].AskAsync("kube", method, target, fields, body));

    private Task QuietAsync() => _sites.UntilAsync(
        "no operation is open",
        () => ((string[])["Site1", "Site2"]).All(site => _sites[site].Replicator!.Groups.All(runner => runner.Look(state => state.OpenCount == 0))));

    // What a site's service was asked to change.
    private Asked[] Changes(string site)
    {
        lock (_sites[site].Log) return [.. _sites[site].Log.Select(one => one.Asked).Where(asked => !asked.FirstLine.StartsWith("GET ", StringComparison.Ordinal))];
    }

    private static string Status(Asked answer) => answer.FirstLine.Split(' ')[1];

    [Fact]
    public async Task An_object_in_protobuf_is_known_by_its_name()
    {
        var answer = await AskAsync("Site1", "POST", Pods, Both + Protobuf, Encoding.Latin1.GetString(KubernetesBodies.Of("Pod", "web-1", "", "a")));
        Assert.Equal("201", Status(answer));
        await QuietAsync();
        Assert.All(_clusters.Where(pair => pair.Key != "Site3"), pair => Assert.Equal([$"{Pods}/web-1"], pair.Value.Names));

        // What belongs to the first site did not come to the second.
        Assert.Contains("b3c7", Changes("Site1")[0].Body, StringComparison.Ordinal);
        Assert.DoesNotContain("b3c7", Changes("Site2")[0].Body, StringComparison.Ordinal);
        var gone = await AskAsync("Site2", "DELETE", $"{Pods}/web-1");
        Assert.True(Status(gone) == "200", gone.ToString());
        await QuietAsync();
        Assert.Empty(_clusters["Site1"].Names);
        Assert.Empty(_clusters["Site2"].Names);
    }

    // A weaker operator than the one that was asked for would be carried out without a word.
    [Theory]
    [InlineData("Site1 && Site2", "&&")]
    [InlineData("Site1 &~ Site2", "&~")]
    [InlineData("Site1 % Site2", "%")]
    [InlineData("Site1 % Site3", "%")]
    public async Task What_names_a_replicant_is_not_carried_out_by_another_operator_than_the_scope_says(string scope, string operators)
    {
        Assert.Equal("201", Status(await AskAsync("Site1", "POST", Pods, Both + Json, Kept)));
        await QuietAsync();
        foreach (var site in (string[])["Site1", "Site2", "Site3"])
        {
            foreach (var method in (string[])["PUT", "GET", "DELETE"])
            {
                var answer = await AskAsync(site, method, $"{Pods}/kept", $"Scope: {scope}\r\n" + Json, method == "PUT" ? Kept : "");
                Assert.Equal("501", Status(answer));
                Assert.Contains($"\"operator\":\"{operators}\"", answer.Body, StringComparison.Ordinal);
            }
        }

        await QuietAsync();
        Assert.Single(Changes("Site1"));
        Assert.Single(Changes("Site2"));
        Assert.Equal("200", Status(await AskAsync("Site1", "GET", $"{Pods}/kept", Both)));
    }

    // Each of these made an entry that no site could read, its own among them.
    [Theory]
    [InlineData("PUT", "1025", "the id in its path has more than 1024 bytes")]
    [InlineData("PUT", "%FF", "no UTF-8")]
    [InlineData("PUT", "a%00b", "control characters")]
    [InlineData("PUT", "%0Ab", "control characters")]
    public async Task What_does_not_fit_into_an_entry_is_refused_and_goes_nowhere(string method, string id, string why)
    {
        var name = int.TryParse(id, out var length) ? new string('n', length) : id;
        var answer = await AskAsync("Site1", method, $"{Pods}/{name}", Both + Json, """{"kind":"Pod"}""");
        Assert.Equal("422", Status(answer));
        Assert.Contains(why, answer.Body, StringComparison.Ordinal);
        Assert.Empty(Changes("Site1"));

        // The longest that fits does, and its group goes on.
        var longest = $$$"""{"kind":"Pod","metadata":{"name":"{{{new string('n', 1024)}}}"}}""";
        Assert.Equal("201", Status(await AskAsync("Site1", "POST", Pods, Both + Json, longest)));
        await QuietAsync();
        Assert.Single(Changes("Site2"));
    }

    [Fact]
    public async Task Lists_say_when_there_is_more_than_they_show()
    {
        _clusters["Site2"].Takes = "nothing that anybody has";
        foreach (var name in (string[])["one", "two"])
            Assert.Equal("201", Status(await AskAsync("Site1", "POST", Pods, Both + Json, $$$"""{"kind":"Pod","metadata":{"name":"{{{name}}}"}}""")));
        Assert.Equal((2, false), await ListAsync("operations", 2));
        Assert.Equal((1, true), await ListAsync("operations", 1));
        Assert.Equal((2, false), await ListAsync("replicants", 2));
        Assert.Equal((1, true), await ListAsync("replicants", 1));

        async Task<(int Count, bool More)> ListAsync(string what, int limit)
        {
            var query = ImmutableDictionary<string, string>.Empty.Add("limit", $"{limit}");
            var api = new ReplicationApi("Site1", _sites["Site1"].Replicator!, _sites.Time);
            var answer = await api.AnswerAsync(new ApiRequest(HttpMethod.Get, $"/_cheops/v1/{what}", query, MayChange: false));
            using var told = JsonDocument.Parse(answer.Body);
            return (told.RootElement.GetProperty(what).GetArrayLength(), told.RootElement.GetProperty("more").GetBoolean());
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_name_that_is_left_to_be_made_is_made_once(bool asProtobuf)
    {
        var body = asProtobuf ? Encoding.Latin1.GetString(KubernetesBodies.Of("Pod", "", "web-", "a")) : """{"kind":"Pod","metadata":{"generateName":"web-"}}""";
        var answer = await AskAsync("Site1", "POST", Pods, Both + (asProtobuf ? Protobuf : Json), body);
        await QuietAsync();
        var name = Assert.Single(_clusters["Site1"].Names);
        Assert.StartsWith($"{Pods}/web-", name, StringComparison.Ordinal);
        Assert.Equal([name], _clusters["Site2"].Names);
        Assert.Contains(name[(Pods.Length + 1)..], answer.Body, StringComparison.Ordinal);
        await AskAsync("Site2", "DELETE", name);
        await QuietAsync();
        Assert.Empty(_clusters["Site1"].Names);
    }

    [Fact]
    public async Task A_name_that_cannot_be_put_in_is_refused_before_anything_is_executed()
    {
        var large = $$$"""{"metadata":{"generateName":"web-"},"data":{"x":"{{{new string('x', 300_000)}}}"}}""";
        var answer = await AskAsync("Site1", "POST", Pods, Both + Json, large);
        Assert.Equal("422", Status(answer));
        Assert.Contains("give it a name", answer.Body, StringComparison.Ordinal);
        Assert.Empty(Changes("Site1").Concat(Changes("Site2")));
    }

    [Theory]
    [InlineData("POST", Pods + "?dryRun=All", """{"metadata":{"name":"a"}}""")]
    [InlineData("PATCH", Pods + "/kept?fieldManager=k&dryRun=All", "{}")]
    [InlineData("DELETE", Pods + "/kept", """{"kind":"DeleteOptions","dryRun":["All"]}""")]
    [InlineData("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", """{"spec":{}}""")]
    [InlineData("POST", Pods + "/kept/exec?command=date", "")]
    [InlineData("POST", "/api/v1/namespaces/a/bindings", """{"metadata":{"name":"kept"}}""")]
    public async Task What_changes_nothing_goes_to_the_instance_here_alone(string method, string target, string body)
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, """{"metadata":{"name":"kept"}}""");
        await QuietAsync();
        var before = (Changes("Site1").Length, Changes("Site2").Length);
        var answer = await AskAsync("Site1", method, target, Both + Json, body);
        Assert.Null(answer.Field("Cheops-Operation"));
        Assert.Equal((before.Item1 + 1, before.Item2), (Changes("Site1").Length, Changes("Site2").Length));
        Assert.Contains(target, Changes("Site1")[^1].FirstLine, StringComparison.Ordinal);
        Assert.Equal(body, Changes("Site1")[^1].Body);
        Assert.NotNull((await AskAsync("Site1", "GET", $"{Pods}/kept")).Field("Cheops-Replicas"));
    }

    [Theory]
    [InlineData("POST", Pods + "/kept/eviction", "at one site alone")]
    [InlineData("DELETE", Pods, "a whole collection")]
    [InlineData("POST", "/api/v1/nodes", "belong to their site")]
    public async Task What_cannot_be_replicated_is_refused_with_the_reason(string method, string target, string why)
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, """{"metadata":{"name":"kept"}}""");
        await QuietAsync();
        var before = Changes("Site1").Length + Changes("Site2").Length;
        var answer = await AskAsync("Site1", method, target, target.EndsWith("eviction", StringComparison.Ordinal) ? Json : Both + Json, "{}");
        Assert.Equal("422", Status(answer));
        Assert.Contains(why, answer.Body, StringComparison.Ordinal);
        Assert.Equal(before, Changes("Site1").Length + Changes("Site2").Length);
    }

    [Theory]
    [InlineData("PATCH", "application/json-patch+json", """[{"op":"test","path":"/metadata/resourceVersion","value":"7"},{"op":"add","path":"/spec/x","value":1}]""", """[{"op":"add","path":"/spec/x","value":1}]""")]
    [InlineData("PATCH", "application/merge-patch+json", """{"metadata":{"resourceVersion":"7"},"spec":{"x":1}}""", """{"metadata":{},"spec":{"x":1}}""")]
    [InlineData("PUT", "application/json", """{"metadata":{"name":"kept","resourceVersion":"7"},"spec":{}}""", """{"metadata":{"name":"kept","resourceVersion":"Site2's"},"spec":{}}""")]
    public async Task Another_site_gets_a_change_without_what_belongs_to_the_first(string method, string type, string body, string left)
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, """{"metadata":{"name":"kept"}}""");
        await AskAsync("Site1", method, $"{Pods}/kept", $"Content-Type: {type}\r\n", body);
        await QuietAsync();
        Assert.Equal(body, Changes("Site1")[^1].Body);
        Assert.Equal(left, Changes("Site2")[^1].Body);
    }

    [Fact]
    public async Task A_large_body_too()
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, """{"metadata":{"name":"kept"}}""");
        var data = new string('x', 300_000);
        await AskAsync("Site1", "PUT", $"{Pods}/kept", Json, $$$"""{"metadata":{"name":"kept","resourceVersion":"7"},"data":{"x":"{{{data}}}"}}""");
        await QuietAsync();
        Assert.Equal($$$"""{"metadata":{"name":"kept"},"data":{"x":"{{{data}}}"}}""", Changes("Site2")[^1].Body);
    }

    [Fact]
    public async Task A_credential_that_has_expired_gives_way_to_the_sites_own()
    {
        _clusters["Site2"].Takes = "Bearer own";
        var answer = await AskAsync("Site1", "POST", Pods, Both + Json + "Authorization: Basic user\r\n", """{"metadata":{"name":"kept"}}""");
        Assert.Equal("201", Status(answer));
        await _sites.UntilAsync("it says why it waits", () => _sites["Site2"].Warnings.Any(warning => warning.Contains("answered 401; no service credential is set (CHEOPS_SERVICE_CREDENTIAL_KUBE)", StringComparison.Ordinal)));
        var open = _sites["Site2"].Replicator!.Groups.Single();
        Assert.Contains("401; no service credential", open.WhyWaiting(open.Look(state => state.Open.Single())), StringComparison.Ordinal);
        _own.Credential = "Bearer own";
        await QuietAsync();
        Assert.Equal([$"{Pods}/kept"], _clusters["Site2"].Names);
        Assert.Equal("Basic user", Changes("Site1")[^1].Field("Authorization"));
        Assert.Equal("Bearer own", Changes("Site2")[^1].Field("Authorization"));
    }

    [Fact]
    public async Task A_credential_is_sealed_also_for_a_site_that_was_not_heard_since_the_start()
    {
        _clusters["Site2"].Takes = "Basic user";
        await _sites.UntilAsync("Site1 has noted the key of Site2", () => _sites["Site1"].SiteKeys.Of("Site2").Length > 0);
        _sites.Unheard.Add("Site2");
        await AskAsync("Site1", "POST", Pods, Both + Json + "Authorization: Basic user\r\nX-Service-Token: of-a-service\r\n", Kept);
        await QuietAsync();
        Assert.Equal([$"{Pods}/kept"], _clusters["Site2"].Names);
        foreach (var site in (string[])["Site1", "Site2"])
            Assert.Equal(("Basic user", "of-a-service"), (Changes(site)[^1].Field("Authorization"), Changes(site)[^1].Field("X-Service-Token")));
        Assert.Empty(_sites["Site1"].Warnings);
    }

    [Fact]
    public async Task That_a_credential_cannot_be_sealed_for_a_site_is_told_once()
    {
        _sites.Unheard.Add("Site2");
        foreach (var name in (string[])["a", "b"])
            await AskAsync("Site1", "POST", Pods, Both + Json + "Authorization: Basic user\r\n", $$$"""{"metadata":{"name":"{{{name}}}"}}""");
        await QuietAsync();
        Assert.Contains("Site2 has never told by which key", Assert.Single(_sites["Site1"].Warnings), StringComparison.Ordinal);
    }

    // What tells who the user is, whatever field it stands in.
    [Theory]
    [InlineData("Authorization")]
    [InlineData("Cookie")]
    [InlineData("X-Auth-Token")]
    [InlineData("X-Service-Token")]
    [InlineData("X-API-Key")]
    [InlineData("X-Client-Secret")]
    public async Task A_credential_is_in_no_record_in_clear(string field)
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, Kept);
        await QuietAsync();
        _clusters["Site2"].IsBusy = true;
        await AskAsync("Site1", "PUT", $"{Pods}/kept", $"{Json}{field}: a-marker\r\nX-Other: stays\r\n", Kept);
        var record = await OpenRecordAsync();
        Assert.Contains("X-Other: stays", record, StringComparison.Ordinal);
        Assert.DoesNotContain("a-marker", record, StringComparison.Ordinal);
        _clusters["Site2"].IsBusy = false;
        await QuietAsync();
        Assert.Equal("a-marker", Changes("Site2")[^1].Field(field));
    }

    [Theory]
    [InlineData("access_token=a-marker")]
    [InlineData("fieldManager=k&api_key=a-marker&x=y")]
    [InlineData("X-Amz-Signature=a-marker;x=y")]
    [InlineData("%74oken=a-marker")]
    public async Task A_credential_in_a_query_is_in_no_record_in_clear_and_shown_to_nobody(string query)
    {
        await AskAsync("Site1", "POST", Pods, Both + Json, Kept);
        await QuietAsync();
        _clusters["Site2"].IsBusy = true;
        await AskAsync("Site1", "PUT", $"{Pods}/kept?{query}", Json, Kept);
        Assert.DoesNotContain("a-marker", await OpenRecordAsync(), StringComparison.Ordinal);
        foreach (var site in (string[])["Site1", "Site2"])
        {
            var api = new ReplicationApi(site, _sites[site].Replicator!, _sites.Time);
            var told = await api.AnswerAsync(new ApiRequest(HttpMethod.Get, "/_cheops/v1/operations", ImmutableDictionary<string, string>.Empty, MayChange: false));
            Assert.Contains($"{Pods}/kept?", Encoding.UTF8.GetString(told.Body.Span), StringComparison.Ordinal);
            Assert.DoesNotContain("a-marker", Encoding.UTF8.GetString(told.Body.Span), StringComparison.Ordinal);
        }

        _clusters["Site2"].IsBusy = false;
        await QuietAsync();
        Assert.All((string[])["Site1", "Site2"], site => Assert.Equal($"PUT {Pods}/kept?{query} HTTP/1.1", Changes(site)[^1].FirstLine));
        Assert.DoesNotContain("a-marker", string.Join('\n', _sites["Site1"].Warnings.Concat(_sites["Site2"].Warnings)), StringComparison.Ordinal);
    }

    // What the log holds of the one operation that is not done everywhere.
    private async Task<string> OpenRecordAsync()
    {
        var runner = _sites["Site1"].Replicator!.Groups.Single();
        var operation = await runner.ReadAsync(runner.Look(state => state.Open.Single()));
        return Encoding.Latin1.GetString(new ProposedEntry(operation).Encode().Span);
    }

    // Set while the site runs, as nobody can: so that the test sees both.
    private sealed class OwnCredential : IServiceCredentials
    {
        public string Credential { get; set; } = "";

        public bool Has(string service) => Credential.Length > 0;

        public string WhyNone(string service) => NoServiceCredentials.Instance.WhyNone(service);

        public ValueTask<ReadOnlyMemory<byte>> GetAsync(string service, ReadOnlyMemory<byte> refused, CancellationToken cancellation) =>
            new(Encoding.ASCII.GetBytes($"Authorization: {Credential}\r\n"));
    }

    /// <summary>An API server that knows objects by their paths, as names in JSON or protobuf say them.</summary>
    private sealed class Cluster(string site)
    {
        private readonly SortedSet<string> _names = new(StringComparer.Ordinal);

        /// <summary>Whether it has no time now for any change.</summary>
        public bool IsBusy { get; set; }

        /// <summary>The only credential that it takes; empty for any.</summary>
        public string Takes { get; set; } = "";

        public string[] Names
        {
            get
            {
                lock (_names) return [.. _names];
            }
        }

        public Task<string?> AnswerAsync(Asked asked)
        {
            if (Takes.Length > 0 && asked.Field("Authorization") != Takes) return Task.FromResult<string?>(SimulatedSites.Answer(401, "{}"));
            var words = asked.FirstLine.Split(' ');
            if (IsBusy && words[0] != "GET") return Task.FromResult<string?>(SimulatedSites.Answer(503, "{}"));
            lock (_names) return Task.FromResult<string?>(Answer(words[0], words[1].Split('?')[0], asked));
        }

        private string Answer(string method, string path, Asked asked)
        {
            var isDry = asked.Head.Contains("dryRun", StringComparison.Ordinal) || asked.Body.Contains("dryRun", StringComparison.Ordinal);
            if (method == "POST" && path.EndsWith("/pods", StringComparison.Ordinal)) return Made(path, asked, isDry);
            if (method == "POST") return SimulatedSites.Answer(201, "{}", Json);
            if (!_names.Contains(path)) return SimulatedSites.Answer(404, "{}", Json);
            if (method == "DELETE" && !isDry) _names.Remove(path);
            return SimulatedSites.Answer(200, $$$"""{"metadata":{"resourceVersion":"{{{site}}}'s"}}""", Json);
        }

        private string Made(string path, Asked asked, bool isDry)
        {
            var name = asked.Field("Content-Type")!.Contains("protobuf", StringComparison.Ordinal)
                ? KubernetesObject.Read(Encoding.Latin1.GetBytes(asked.Body))!.Name
                : JsonDocument.Parse(asked.Body).RootElement.GetProperty("metadata").GetProperty("name").GetString()!;
            if (!isDry && !_names.Add($"{path}/{name}")) return SimulatedSites.Answer(409, "{}", Json);
            return SimulatedSites.Answer(201, $$$"""{"metadata":{"name":"{{{name}}}"}}""", Json);
        }
    }
}
