using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>
/// <c>cheops redirect</c> in network namespaces: host 1 has a service and an agent, host 2 a client. Neither the service
/// nor any client knows of the agent.
/// </summary>
public sealed class RedirectTests : IAsyncLifetime
{
    private const string AgentUser = "65533";

    private readonly string _directory = Places.NewDirectory();
    private readonly Dictionary<string, string> _environment;
    private NetworkNamespaces _network = null!;
    private Daemon _service = null!;
    private Daemon _agent = null!;

    public RedirectTests() => _environment = new Dictionary<string, string>
    {
        ["CHEOPS_SITE"] = "Site-1",
        ["CHEOPS_SERVICES"] = "shop@10.77.0.1:18080=http://10.77.0.1:8080,items@10.77.0.1:18081=http://10.77.0.1:8081",
        ["CHEOPS_API_LISTEN"] = "127.0.0.1:7070",
        ["CHEOPS_DATA"] = Path.Combine(_directory, "data"),
    };

    public async Task InitializeAsync()
    {
        // The agent runs as another user, who must reach its directory.
        File.SetUnixFileMode(_directory, (UnixFileMode)0b111_111_111);
        _network = await NetworkNamespaces.MakeAsync(2);
        await File.WriteAllTextAsync(
            Path.Combine(_directory, "service.py"),
            """
            import http.server, threading
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    if self.server.server_port == 8081:
                        self.wfile.write(b'items ')
                    self.wfile.write(b'via ' + (self.headers.get('Via') or 'nobody').encode())
                def log_message(self, *arguments):
                    pass
            threading.Thread(target=http.server.ThreadingHTTPServer(('10.77.0.1', 8081), Handler).serve_forever, daemon=True).start()
            http.server.ThreadingHTTPServer(('10.77.0.1', 8080), Handler).serve_forever()
            """);
        _service = Daemon.Start(["python3", Path.Combine(_directory, "service.py")], new Dictionary<string, string>(), _network.Of(1));
        _agent = Daemon.Start(["setpriv", "--reuid", AgentUser, "--clear-groups", Places.Cheops, "agent"], _environment, _network.Of(1));
        await Wait.UntilAsync("the agent serves", async () => (await AskAsync(1, "10.77.0.1:18080")) == "via 1.1 Site-1", more: () => _agent.Log + _service.Log);
        Assert.Equal("via nobody", await AskAsync(1));
        Assert.Equal("via nobody", await AskAsync(2));
    }

    public async Task DisposeAsync()
    {
        await _agent.DisposeAsync();
        await _service.DisposeAsync();
        await _network.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task<string> AskAsync(int host, string address = "10.77.0.1:8080") =>
        (await _network.RunAsync(host, "curl", "-s", "--max-time", "10", $"http://{address}/")).Output;

    private Task<Ran> CheopsAsync(params string[] arguments) =>
        Commands.RunAsync(["ip", "netns", "exec", _network.Of(1), Places.Cheops, .. arguments], _environment);

    private async Task<string> RulesAsync() => (await _network.RunAsync(1, "nft", "list", "ruleset")).Succeeded().Output;

    [Fact]
    public async Task What_is_sent_to_the_service_comes_to_the_agent_until_it_is_removed()
    {
        Assert.Equal("nothing is redirected for Site-1\n", (await CheopsAsync("redirect", "show")).Succeeded().Output);
        var installed = (await CheopsAsync("redirect", "install", "--except-user", AgentUser)).Succeeded();
        Assert.Equal("shop: 10.77.0.1:8080 -> 10.77.0.1:18080\nitems: 10.77.0.1:8081 -> 10.77.0.1:18081\n", installed.Output);

        // From this host, from another, and by the agent itself, whose own connections pass.
        Assert.Equal("via 1.1 Site-1", await AskAsync(1));
        Assert.Equal("via 1.1 Site-1", await AskAsync(2));

        // Again: the same rules, once.
        var rules = await RulesAsync();
        (await CheopsAsync("redirect", "install", "--except-user", AgentUser)).Succeeded();
        Assert.Equal(WithoutCounters(rules), WithoutCounters(await RulesAsync()));
        Assert.Equal("via 1.1 Site-1", await AskAsync(2));
        Assert.Matches("counter packets [1-9]", (await CheopsAsync("redirect", "show")).Succeeded().Output);

        (await CheopsAsync("redirect", "remove")).Succeeded();
        Assert.Equal("", await RulesAsync());
        Assert.Equal("via nobody", await AskAsync(1));
        (await CheopsAsync("redirect", "remove")).Succeeded();
    }

    [Fact]
    public async Task Rules_may_send_several_services_to_one_listener_which_tells_them_apart()
    {
        const string rules = """
            table inet own {
              chain prerouting {
                type nat hook prerouting priority -100
                tcp dport { 8080, 8081 } redirect to :18080
              }
            }

            """;
        (await Commands.RunAsync(["ip", "netns", "exec", _network.Of(1), "nft", "-f", "-"], input: rules)).Succeeded();
        Assert.Equal("via 1.1 Site-1", await AskAsync(2));
        Assert.Equal("items via 1.1 Site-1", await AskAsync(2, "10.77.0.1:8081"));
        Assert.Equal("via 1.1 Site-1", await AskAsync(2, "10.77.0.1:18080"));
    }

    private static string WithoutCounters(string rules) => global::System.Text.RegularExpressions.Regex.Replace(rules, "packets [0-9]+ bytes [0-9]+", "");

    [Fact]
    public async Task Held_rules_go_when_the_command_ends_and_others_stay()
    {
        (await _network.RunAsync(1, "nft", "add table inet other")).Succeeded();
        await using (var hold = Daemon.Start([Places.Cheops, "redirect", "install", "--except-user", AgentUser, "--hold"], _environment, _network.Of(1)))
        {
            await Wait.UntilAsync("the rules are in place", () => hold.Log.Contains("10.77.0.1:18080", StringComparison.Ordinal), more: () => hold.Log);
            Assert.Equal("via 1.1 Site-1", await AskAsync(2));
            hold.Signal(Daemon.SigTerm);
            Assert.Equal(0, await hold.WaitAsync());
        }

        Assert.Equal("via nobody", await AskAsync(2));
        Assert.Equal("table inet other {\n}\n", await RulesAsync());
    }

    [Fact]
    public async Task Without_the_right_nothing_is_changed_and_it_is_said()
    {
        var ran = await Commands.RunAsync(
            ["ip", "netns", "exec", _network.Of(1), "setpriv", "--reuid", AgentUser, "--clear-groups", Places.Cheops, "redirect", "install", "--except-user", AgentUser], _environment);
        Assert.Equal(1, ran.ExitCode);
        Assert.Contains("must run as root", ran.Error, StringComparison.Ordinal);
        Assert.Equal("", await RulesAsync());
    }
}
