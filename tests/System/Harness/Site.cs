using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Cheops.Tests.System.Harness;

/// <summary>One service in front of which a site's agent stands.</summary>
/// <param name="Name">The service.</param>
/// <param name="Instance">Its instance, such as <c>http://127.0.0.1:1234</c>.</param>
/// <param name="Port">Where the agent listens for it.</param>
internal sealed record FrontedService(string Name, string Instance, int Port);

/// <summary>One site: its agent, the published executable, as a process.</summary>
internal sealed class Site(string name, string address) : IAsyncDisposable
{
    private readonly List<string> _earlierLogs = [];
    private HttpClient? _api;
    private Daemon? _agent;

    public string Name { get; } = name;

    public string Address { get; } = address;

    public string Directory { get; } = Places.NewDirectory();

    public string? NetworkNamespace { get; init; }

    /// <summary>Makes sockets in the site's network namespace, for clients there; null for a site that is reached from here.</summary>
    public Func<Socket>? NewSocket { get; init; }

    /// <summary>A client of the agent's API.</summary>
    public HttpClient Api => _api ??= Client.New(TimeSpan.FromSeconds(10), NewSocket);

    /// <summary>The settings; added to what <see cref="Mesh"/> sets.</summary>
    public Dictionary<string, string> Settings { get; } = [];

    /// <summary>Variables of the agent's process that are no settings.</summary>
    public Dictionary<string, string> Surroundings { get; } = [];

    public List<FrontedService> Services { get; } = [];

    public Daemon Agent => _agent ?? throw new InvalidOperationException($"{Name} was not started");

    public string MeshAddress => $"{Address}:7422";

    public string ApiUrl => $"http://{Address}:7070";

    /// <summary>What the agent wrote, over all its starts.</summary>
    public string Log => string.Join("\n---- started again\n", [.. _earlierLogs, _agent?.Log ?? ""]);

    /// <summary>Where clients reach a service: the agent's listener.</summary>
    public Uri Of(string service) => new($"http://{Address}:{Services.First(one => one.Name == service).Port}");

    public Dictionary<string, string> Environment() => new(Settings)
    {
        ["CHEOPS_SITE"] = Name,
        ["CHEOPS_SERVICES"] = Settings.GetValueOrDefault("CHEOPS_SERVICES")
            ?? string.Join(',', Services.Select(service => $"{service.Name}@{Address}:{service.Port}={service.Instance}")),
        ["CHEOPS_API_LISTEN"] = $"{Address}:7070",
        ["CHEOPS_DATA"] = Settings.GetValueOrDefault("CHEOPS_DATA") ?? Path.Combine(Directory, "data"),
    };

    /// <summary>Starts the agent and waits until it is ready.</summary>
    public async Task StartAsync()
    {
        if (_agent is not null)
        {
            _earlierLogs.Add(_agent.Log);
            await _agent.DisposeAsync();
        }

        _agent = Daemon.Start([Places.Cheops, "agent"], Environment().Concat(Surroundings).ToDictionary(), NetworkNamespace);
        if (NetworkNamespace is null || NewSocket is not null) await ReadyAsync();
    }

    public Task ReadyAsync() => Wait.UntilAsync(
        $"{Name} is ready",
        async () =>
        {
            if (Agent.HasExited) throw new InvalidOperationException($"{Name}'s agent ended with {Agent.ExitCode}:\n{Log}");
            using var answer = await Api.GetAsync($"{ApiUrl}/readyz");
            return answer.StatusCode == HttpStatusCode.OK;
        },
        more: () => Log);

    /// <summary>Ends the agent as a power cut would.</summary>
    public async Task KillAsync()
    {
        Agent.Signal(Daemon.SigKill);
        await Agent.WaitAsync();
    }

    /// <summary>What the agent tells of the sites, by name.</summary>
    public async Task<Dictionary<string, JsonElement>> SitesAsync()
    {
        using var document = JsonDocument.Parse(await Api.GetStringAsync($"{ApiUrl}/_cheops/v1/sites"));
        return document.RootElement.GetProperty("sites").EnumerateArray().ToDictionary(site => site.GetProperty("name").GetString()!, site => site.Clone());
    }

    public Task SeesAsync(string site, string state, TimeSpan? most = null) => Wait.UntilAsync(
        $"{Name} sees {site} {state}",
        async () => (await SitesAsync()).TryGetValue(site, out var one) && one.GetProperty("state").GetString() == state,
        most,
        () => Log);

    /// <summary>The sum of a metric's samples whose labels include <paramref name="labels"/>.</summary>
    public async Task<double> MetricAsync(string metric, string labels = "")
    {
        var text = await Api.GetStringAsync($"{ApiUrl}/metrics");
        return text.Split('\n')
            .Where(line => line.StartsWith(metric, StringComparison.Ordinal) && line[metric.Length] is '{' or ' ' && line.Contains(labels, StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>The agent's nats-server.</summary>
    public int NatsServer() => NatsServers().Single();

    /// <summary>The nats-servers that the agent has as children just now.</summary>
    public IEnumerable<int> NatsServers() => Agent.Children().Where(pid => CommandOf(pid).StartsWith("nats", StringComparison.Ordinal));

    private static string CommandOf(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/comm");
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>Ends the agent and what it started, for good.</summary>
    public async Task EndAsync()
    {
        if (_agent is not null) await _agent.DisposeAsync();
        _agent = null;
    }

    /// <summary>Runs <c>cheops</c> with this site's settings.</summary>
    public Task<Ran> CheopsAsync(params string[] arguments) => Commands.RunAsync([Places.Cheops, .. arguments], Environment());

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null) await _agent.DisposeAsync();
        _api?.Dispose();
        global::System.IO.Directory.Delete(Directory, recursive: true);
    }
}
