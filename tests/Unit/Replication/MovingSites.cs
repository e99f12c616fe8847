using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Identity;
using Cheops.Agent.Replication;
using Cheops.Tests.Unit.Collaboration;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Unit.Replication;

/// <summary>Sites with a Kubernetes each, whose people ask by the agents' API; to be lost for good.</summary>
internal sealed class MovingSites : IAsyncDisposable
{
    public const string Pods = "/api/v1/namespaces/a/pods";
    public const string Json = "Content-Type: application/json\r\n";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("cheops-unit-");
    private readonly string[] _names;
    private readonly HashSet<string> _lost = [];
    private readonly Dictionary<string, PodServer> _pods = [];
    private CredentialSeal? _seal;

    public MovingSites(params string[] names)
    {
        (_names, Sites) = (names, new SimulatedSites(names));
        foreach (var name in names) Sites[name].Services["kube"] = (_pods[name] = new PodServer()).AnswerAsync;
    }

    public SimulatedSites Sites { get; }

    /// <summary>The Kubernetes of a site.</summary>
    public PodServer this[string site] => _pods[site];

    public async Task<MovingSites> StartAsync()
    {
        _seal = CredentialSeal.Open(Path.Combine(_directory.FullName, "key"));
        await Sites.ReplicateAsync(1, _seal);
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var name in _names) Assert.Empty(Sites[name].Errors);
        await Sites.DisposeAsync();
        _seal?.Dispose();
        _directory.Delete(recursive: true);
    }

    /// <summary>A site's agent has ended, and the others know.</summary>
    public void Lose(string site)
    {
        _lost.Add(site);
        Sites.Down.Add(site);
        Sites.Groups!.CutOff(site, true);
    }

    /// <summary>It was only away.</summary>
    public void Return(string site)
    {
        _lost.Remove(site);
        Sites.Down.Remove(site);
        Sites.Groups!.CutOff(site, false);
    }

    public Task<Asked> AskAsync(string site, string method, string target, string scope = "", string body = "") =>
        Sites.WithTimeAsync(Sites[site].AskAsync("kube", method, target, (scope.Length > 0 ? $"Scope: {scope}\r\n" : "") + Json, body));

    public Task<Asked> CreateAsync(string site, string name, string scope) =>
        AskAsync(site, "POST", Pods, scope, $$$"""{"metadata":{"name":"{{{name}}}"}}""");

    /// <summary>Replaces a pod; <paramref name="value"/> is found in it then.</summary>
    public Task<Asked> PutAsync(string site, string name, string value, string scope = "") =>
        AskAsync(site, "PUT", $"{Pods}/{name}", scope, $$$"""{"metadata":{"name":"{{{name}}}"},"value":"{{{value}}}"}""");

    public static string Status(Asked answer) => answer.FirstLine.Split(' ')[1];

    public async Task<JsonElement> ApiAsync(string site, string path, HttpMethod method = HttpMethod.Post, params (string Name, string Value)[] query)
    {
        var (_, told) = await TellAsync(site, path, method, query);
        return told;
    }

    public async Task<(int Status, JsonElement Told)> TellAsync(string site, string path, HttpMethod method, params (string Name, string Value)[] query)
    {
        var api = new ReplicationApi(site, Sites[site].Replicator!, Sites.Time);
        var asked = new ApiRequest(method, $"/_cheops/v1/{path}", query.ToImmutableDictionary(one => one.Name, one => one.Value), MayChange: true);
        var answer = await Sites.WithTimeAsync(api.AnswerAsync(asked).AsTask());
        using var document = JsonDocument.Parse(answer.Body);
        return (answer.Status, document.RootElement.Clone());
    }

    /// <summary>Adds a site to a pod's, or removes it, and waits until that is so.</summary>
    public async Task MoveAsync(string at, string name, string how, string site, string replica = "keep")
    {
        var (status, told) = await TellAsync(at, SitesOf(name), HttpMethod.Post, how == "add" ? [("add", site)] : [("remove", site), ("replica", replica)]);
        Assert.True(status == 200, told.ToString());
        await QuietAsync();
    }

    public static string SitesOf(string name) => $"replicants/{Uri.EscapeDataString($"{Pods}/{name}")}/sites";

    /// <summary>Nothing is open, and no move is under way, at the sites that are there.</summary>
    public Task QuietAsync() => Sites.UntilAsync(
        "nothing is open", () => Here.All(site => Sites[site].Replicator!.Groups.All(runner => runner.Look(state => state.OpenCount == 0 && !state.Moving.Any()))));

    public IEnumerable<string> Here => _names.Where(name => !_lost.Contains(name));

    /// <summary>The sites of a pod as a site knows them; empty for one that it does not know.</summary>
    public string KnownAt(string site, string name)
    {
        var replicator = Sites[site].Replicator!;
        return replicator.Replicants.FindByMetaId("kube", Encoding.ASCII.GetBytes($"{Pods}/{name}")) is { } record
            ? string.Join(" & ", replicator.Find(record.Group)!.Founding.Sites) : "";
    }

    /// <summary>An API server that keeps pods as they were last written.</summary>
    internal sealed class PodServer
    {
        private readonly SortedDictionary<string, string> _pods = new(StringComparer.Ordinal);

        /// <summary>Whether it has no time now for any change.</summary>
        public bool IsBusy { get; set; }

        /// <summary>Whether it takes no delete now.</summary>
        public bool KeepsAll { get; set; }

        /// <summary>Whether it never answers a change.</summary>
        public bool Hangs { get; set; }

        /// <summary>The pods, each with its body.</summary>
        public Dictionary<string, string> All
        {
            get
            {
                lock (_pods) return new(_pods);
            }
        }

        public Task<string?> AnswerAsync(Asked asked)
        {
            var words = asked.FirstLine.Split(' ');
            if (Hangs && words[0] != "GET") return new TaskCompletionSource<string?>().Task;
            if (IsBusy && words[0] != "GET") return Task.FromResult<string?>(SimulatedSites.Answer(503, "{}"));
            if (KeepsAll && words[0] == "DELETE") return Task.FromResult<string?>(SimulatedSites.Answer(429, "{}"));
            lock (_pods) return Task.FromResult<string?>(Answer(words[0], words[1].Split('?')[0], asked.Content));
        }

        private string Answer(string method, string path, string body)
        {
            var isNew = method == "POST";
            var name = isNew ? JsonDocument.Parse(body).RootElement.GetProperty("metadata").GetProperty("name").GetString()! : path[(path.LastIndexOf('/') + 1)..];
            if (isNew == _pods.ContainsKey(name) && method != "PUT") return SimulatedSites.Answer(isNew ? 409 : 404, "{}", Json);
            var stands = method == "GET" ? _pods[name] : body;
            if (method == "DELETE") _pods.Remove(name);
            else _pods[name] = stands;
            return SimulatedSites.Answer(isNew ? 201 : 200, stands.Length > 0 ? stands : "{}", Json);
        }
    }
}
