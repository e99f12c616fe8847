using System.Diagnostics;
using System.Text.Json;
using Cheops.Tests.System.Harness;
using Xunit.Abstractions;

namespace Cheops.Tests.System;

/// <summary>
/// Two sites on two hosts (network namespaces, root needed), linked by nats leaf nodes with mutual TLS: cuts that nobody
/// is told of, narrow lines, agents that are killed.
/// </summary>
public sealed class MeshTests(ITestOutputHelper output) : IAsyncLifetime
{
    private readonly string _directory = Places.NewDirectory();
    private readonly List<Daemon> _services = [];
    private readonly Daemon[] _agents = new Daemon[2];
    private NetworkNamespaces _network = null!;
    private MeshCertificates _certificates = null!;

    public async Task InitializeAsync()
    {
        _network = await NetworkNamespaces.MakeAsync(2);
        _certificates = await MeshCertificates.IssueAsync(_directory, ("Site1", NetworkNamespaces.AddressOf(1)), ("Site2", NetworkNamespaces.AddressOf(2)));
        await File.WriteAllTextAsync(
            Path.Combine(_directory, "service.py"),
            """
            import http.server, sys
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = 'HTTP/1.1'
                disable_nagle_algorithm = True
                def do_GET(self):
                    size = int(self.path.rsplit('/', 1)[1])
                    self.send_response(200)
                    self.send_header('Content-Length', str(size))
                    self.end_headers()
                    piece = b'x' * 65536
                    while size > 0:
                        self.wfile.write(piece[:size])
                        size -= min(size, len(piece))
                def log_message(self, *arguments):
                    pass
            http.server.ThreadingHTTPServer((sys.argv[1], 8080), Handler).serve_forever()
            """);
        for (var host = 1; host <= 2; host++)
        {
            var address = NetworkNamespaces.AddressOf(host);
            _services.Add(Daemon.Start(["python3", Path.Combine(_directory, "service.py"), address], new Dictionary<string, string>(), _network.Of(host)));
            _agents[host - 1] = StartAgent(host);
        }

        await UntilAsync("Up", "up");

        // On a busy machine the agents may be linked before there is anything to forward to.
        for (var host = 1; host <= 2; host++) await ServesAsync(host);
    }

    private Task ServesAsync(int host) => Wait.UntilAsync(
        $"the service at Site{host} answers",
        async () => (await _network.RunAsync(host, "curl", "-s", "--max-time", "2", $"http://{NetworkNamespaces.AddressOf(host)}:8080/1")).ExitCode == 0,
        more: () => _services[host - 1].Log);

    private Daemon StartAgent(int host)
    {
        var (address, other) = (NetworkNamespaces.AddressOf(host), 3 - host);
        var settings = new Dictionary<string, string>
        {
            ["CHEOPS_SITE"] = $"Site{host}",
            ["CHEOPS_SERVICES"] = $"shop@{address}:18080=http://{address}:8080",
            ["CHEOPS_PEERS"] = $"Site{other}@{NetworkNamespaces.AddressOf(other)}:7422",
            ["CHEOPS_MESH_LISTEN"] = $"{address}:7422",
            ["CHEOPS_API_LISTEN"] = $"{address}:7070",
            ["CHEOPS_DATA"] = Path.Combine(_directory, $"data{host}"),
        };
        _certificates.SetUp($"Site{host}", settings);
        return Daemon.Start([Places.Cheops, "agent"], settings, _network.Of(host));
    }

    private async Task<string> StateAsync(int at)
    {
        var ran = await _network.RunAsync(at, "curl", "-s", "--max-time", "2", $"http://{NetworkNamespaces.AddressOf(at)}:7070/_cheops/v1/sites");
        if (ran.ExitCode != 0) return "";
        using var document = JsonDocument.Parse(ran.Output);
        return document.RootElement.GetProperty("sites").EnumerateArray().Single(site => site.GetProperty("name").GetString() == $"Site{3 - at}").GetProperty("state").GetString()!;
    }

    private Task UntilAsync(string what, string state) => Wait.UntilAsync(
        $"{what}: both sites see each other {state}",
        async () => await StateAsync(1) == state && await StateAsync(2) == state,
        more: () => _agents[0].Log + _agents[1].Log);

    private async Task<(int Status, TimeSpan Time)> GetAsync(int size)
    {
        var url = $"http://{NetworkNamespaces.AddressOf(1)}:18080/{size}";
        var started = Stopwatch.GetTimestamp();
        var ran = await _network.RunAsync(1, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{time_total}", "--max-time", "120", "-H", "Scope: Site2", url);
        var words = ran.Output.Split(' ');
        var inside = words.Length == 2 && double.TryParse(words[1], global::System.Globalization.CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : Stopwatch.GetElapsedTime(started);
        return (int.TryParse(words[0], out var status) ? status : 0, inside);
    }

    [Fact]
    public async Task A_silent_cut_is_noticed_at_both_ends_refused_at_once_and_healed()
    {
        Assert.Equal(200, (await GetAsync(100_000)).Status);
        for (var round = 0; round < 2; round++)
        {
            var cutAt = Stopwatch.GetTimestamp();
            await _network.SetLinkAsync(1, up: false);
            await UntilAsync("after the cut", "down");
            output.WriteLine($"both ends know of the cut after {Stopwatch.GetElapsedTime(cutAt).TotalSeconds:0.00} s (polled)");
            var (status, time) = await GetAsync(10);
            output.WriteLine($"refused with {status} in {time.TotalMilliseconds:0.0} ms");
            Assert.Equal(503, status);
            var healedAt = Stopwatch.GetTimestamp();
            await _network.SetLinkAsync(1, up: true);
            await UntilAsync("after the heal", "up");
            output.WriteLine($"healed after {Stopwatch.GetElapsedTime(healedAt).TotalSeconds:0.00} s (polled)");
            Assert.Equal(200, (await GetAsync(1_000_000)).Status);
        }
    }

    [Fact]
    public async Task On_a_narrow_line_small_requests_stay_quick_beside_bulk()
    {
        for (var host = 1; host <= 2; host++)
            (await _network.RunAsync(host, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "20mbit", "burst", "32kb", "latency", "3000ms")).Succeeded();
        var alone = await MeasureAsync(40);
        var bulk = GetAsync(50_000_000);
        var beside = await MeasureAsync(60);
        output.WriteLine($"20 Mbit/s, a queue of 3 s: a small request alone takes {Text(alone)}; beside 50 MB of bulk {Text(beside)}");
        var (status, time) = await bulk;
        Assert.Equal(200, status);
        output.WriteLine($"the bulk went at {50_000_000 * 8 / time.TotalSeconds / 1e6:0.0} Mbit/s");

        static string Text(List<double> times) => $"p50 {times[times.Count / 2]:0} ms, p95 {times[times.Count * 95 / 100]:0} ms, worst {times[^1]:0} ms";
    }

    private async Task<List<double>> MeasureAsync(int count)
    {
        var times = new List<double>();
        for (var i = 0; i < count; i++)
        {
            var (status, time) = await GetAsync(100);
            Assert.True(status == 200, $"{status}\n{_agents[0].Log}{_agents[1].Log}");
            times.Add(time.TotalMilliseconds);
        }

        times.Sort();
        return times;
    }

    [Fact]
    public async Task An_agent_that_is_killed_leaves_no_server_behind_and_comes_back()
    {
        var pids = await ServersAsync();
        Assert.NotEmpty(pids);
        _agents[1].Signal(Daemon.SigKill);
        await _agents[1].WaitAsync();
        await Wait.UntilAsync("its nats-server ends with it", async () => (await ServersAsync()).Count == 0);
        await Wait.UntilAsync("the other site knows", async () => await StateAsync(1) == "down", more: () => _agents[0].Log);
        Assert.Equal(503, (await GetAsync(10)).Status);
        await _agents[1].DisposeAsync();
        _agents[1] = StartAgent(2);
        await UntilAsync("after the start", "up");
        Assert.Equal(200, (await GetAsync(100_000)).Status);
    }

    // The servers in host 2's namespace that run on this test's configuration.
    private async Task<List<string>> ServersAsync()
    {
        var pids = await Commands.RunAsync(["ip", "netns", "pids", _network.Of(2)]);
        return [.. pids.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(pid => CommandLineOf(pid).Contains(_directory, StringComparison.Ordinal) && CommandLineOf(pid).Contains("nats-server.conf", StringComparison.Ordinal))];
    }

    private static string CommandLineOf(string pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var agent in _agents) await agent.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
        await _network.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
