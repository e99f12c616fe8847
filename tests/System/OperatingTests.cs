using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>Two sites with one service each that answers with the site and the scope it saw.</summary>
public sealed class TwoShops : IAsyncLifetime
{
    private readonly List<RestService> _services = [];

    internal Mesh Mesh { get; private set; } = null!;

    public async Task InitializeAsync() => Mesh = await Mesh.StartAsync(2, site =>
    {
        var service = new RestService(async call =>
        {
            await call.AnswerJsonAsync(200, $$"""{"site":"{{site.Name}}","target":"{{call.Target}}","scope":"{{call.Head["Scope"]}}"}""");
        });
        _services.Add(service);
        site.Services.Add(new FrontedService("shop", service.Url, 18001));
    });

    public async Task DisposeAsync()
    {
        await Mesh.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
    }
}

/// <summary>The published executable as its operators meet it.</summary>
public sealed class OperatingTests(TwoShops shops) : IClassFixture<TwoShops>
{
    private readonly Site _site = shops.Mesh[1];

    private Uri Shop => _site.Of("shop");

    [Fact]
    public async Task Sites_are_listed_for_people_and_programs()
    {
        var table = (await _site.CheopsAsync("sites")).Succeeded().Output;
        Assert.Matches("(?m)^Site1 +up +- +this site +shop", table);
        Assert.Matches("(?m)^Site2 +up +[0-9.]+ ms \\([0-9.]+ s ago\\) +[0-9.]+ s ago +shop", table);
        using var json = JsonDocument.Parse((await _site.CheopsAsync("sites", "--output", "json")).Succeeded().Output);
        Assert.Equal(2, json.RootElement.GetProperty("sites").GetArrayLength());
    }

    [Fact]
    public async Task A_scope_is_explained_with_the_latencies_used()
    {
        var text = (await _site.CheopsAsync("scope", "explain", "around(here, 10s) ; Site2", "--service", "shop")).Succeeded().Output;
        Assert.Contains("Site2", text, StringComparison.Ordinal);
        Assert.Matches("(?m)^latency +Site1 - Site2: ", text);
        using var json = JsonDocument.Parse((await _site.CheopsAsync("scope", "explain", "Site2", "-s", "shop", "-o", "json")).Succeeded().Output);
        Assert.Equal("Site1", json.RootElement.GetProperty("site").GetString());
        var wrong = await _site.CheopsAsync("scope", "explain", "Site2 &", "-s", "shop");
        Assert.Equal(2, wrong.ExitCode);
        Assert.Contains("column", wrong.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_and_check_and_version_are_told_by_exit_codes()
    {
        Assert.Equal("ready\n", (await _site.CheopsAsync("health")).Succeeded().Output);
        Assert.Equal(3, (await _site.CheopsAsync("health", "--api", "127.0.0.1:1")).ExitCode);
        (await _site.CheopsAsync("check")).Succeeded();
        Assert.Matches("^cheops [0-9]+\\.[0-9]+\\.[0-9]+\n$", (await _site.CheopsAsync("version")).Succeeded().Output);
    }

    [Fact]
    public async Task Every_mistake_is_told_at_once_before_anything_is_bound()
    {
        var environment = _site.Environment();
        environment["CHEOPS_SERVICES"] = $"shop@{Places.NewAddress()}:80=ftp://x";
        environment["CHEOPS_LOGG"] = "debug";
        environment["CHEOPS_PROFILES"] = "openstck";
        environment["CHEOPS_MESH_LISTEN"] = "0.0.0.0:7422";
        environment["CHEOPS_NATS_SERVER"] = "no-such-nats";
        var ran = await Commands.RunAsync([Places.Cheops, "agent"], environment);
        Assert.Equal(2, ran.ExitCode);
        var mistakes = new[]
        {
            "CHEOPS_SERVICES: ", "CHEOPS_LOGG: no such variable; did you mean 'CHEOPS_LOG'?", "CHEOPS_MESH_LISTEN: ",
            "CHEOPS_PROFILES: no profile 'openstck' is built in", "CHEOPS_NATS_SERVER: ",
        };
        foreach (var name in mistakes) Assert.Contains(name, ran.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_agents_cannot_share_a_data_directory()
    {
        var environment = _site.Environment();
        environment.Remove("CHEOPS_PEERS");
        environment["CHEOPS_API_LISTEN"] = "";
        environment["CHEOPS_SERVICES"] = $"shop@{Places.NewAddress()}:18001=http://127.0.0.1:1";
        var ran = await Commands.RunAsync([Places.Cheops, "agent"], environment);
        Assert.Equal(1, ran.ExitCode);
        Assert.Contains("in use by another agent", ran.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_service_manager_is_told_of_ready_alive_reloading_and_stopping()
    {
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        var path = Path.Combine(_site.Directory, "notify");
        manager.Bind(new UnixDomainSocketEndPoint(path));
        var address = Places.NewAddress();
        var environment = new Dictionary<string, string>
        {
            ["CHEOPS_SITE"] = "Alone",
            ["CHEOPS_SERVICES"] = $"shop@{address}:18001=http://127.0.0.1:1",
            ["CHEOPS_API_LISTEN"] = $"{address}:7070",
            ["CHEOPS_DATA"] = Path.Combine(_site.Directory, "alone"),
            ["NOTIFY_SOCKET"] = path,
            ["WATCHDOG_USEC"] = "400000",
        };
        await using var agent = Daemon.Start([Places.Cheops, "agent"], environment);
        Assert.StartsWith("READY=1\nSTATUS=Alone: serving shop", Receive(manager), StringComparison.Ordinal);
        Assert.Equal("WATCHDOG=1", Receive(manager));
        Assert.Equal("WATCHDOG=1", Receive(manager));
        agent.Signal(1);
        Assert.StartsWith("RELOADING=1\nMONOTONIC_USEC=", ReceiveNews(manager), StringComparison.Ordinal);
        Assert.StartsWith("READY=1", ReceiveNews(manager), StringComparison.Ordinal);
        agent.Signal(Daemon.SigTerm);
        Assert.StartsWith("STOPPING=1", ReceiveNews(manager), StringComparison.Ordinal);
        Assert.Equal(0, await agent.WaitAsync());
        Assert.Contains("event=Started", agent.Log, StringComparison.Ordinal);
    }

    // That the agent is alive is told all the time, and is no news.
    private static string ReceiveNews(Socket socket)
    {
        for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < Wait.Long;)
        {
            if (Receive(socket) is var message and not "WATCHDOG=1") return message;
        }

        throw new TimeoutException("the service manager was told nothing but that the agent is alive");
    }

    private static string Receive(Socket socket)
    {
        var buffer = new byte[4096];
        return Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer));
    }

    [Fact]
    public async Task Metrics_count_what_was_served_where()
    {
        var local = await _site.MetricAsync("cheops_http_responses_total", "class=\"2xx\"");
        var there = await shops.Mesh[2].MetricAsync("cheops_http_responses_total", "cheops_service=\"@links\",class=\"2xx\"");
        Assert.Equal("Site2", (await Client.GetAsync(Shop, "/", "Site2")).Site);
        await CountsAsync(_site, "cheops_http_responses_total", "class=\"2xx\"", local + 1);
        await CountsAsync(_site, "cheops_plans_total", "fate=\"there\"", 1);
        await CountsAsync(_site, "http_client_request_duration_seconds_count", "cheops_peer=\"Site2\"", 1);
        await CountsAsync(shops.Mesh[2], "cheops_attempts_total", "cheops_peer=\"\",outcome=\"answered\"", 1);
        await CountsAsync(shops.Mesh[2], "cheops_http_responses_total", "cheops_service=\"@links\",class=\"2xx\"", there + 1);
    }

    // An exchange is counted when it is over, a moment after its answer is there.
    private static Task CountsAsync(Site site, string metric, string labels, double least) =>
        Wait.UntilAsync($"{metric}{{{labels}}} is {least} at {site.Name}", async () => await site.MetricAsync(metric, labels) >= least);

    [Fact]
    public async Task A_refused_request_is_one_line_of_the_log_without_its_secrets()
    {
        var path = $"/geheim{Random.Shared.Next().ToString(CultureInfo.InvariantCulture)}";
        var answer = await Client.SendAsync(HttpMethod.Get, Shop, $"{path}?token=verraten", "Site9", null, ("Authorization", "Bearer verraten"));
        Assert.Equal(422, answer.Status);
        await Wait.UntilAsync("the line is there", () => _site.Log.Contains(path, StringComparison.Ordinal));
        var line = Assert.Single(_site.Log.Split('\n'), one => one.Contains(path, StringComparison.Ordinal));
        Assert.Contains("event=RequestFailed", line, StringComparison.Ordinal);
        Assert.Contains("stage=plan retrySafe=true", line, StringComparison.Ordinal);
        Assert.DoesNotContain("verraten", _site.Log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash", "cheops s", "sites scope")]
    [InlineData("bash", "cheops sites --output ", "table json")]
    [InlineData("bash", "cheops redirect ", "install remove show")]
    [InlineData("bash", "cheops scope explain --s", "--service")]
    public async Task Completion_completes(string shell, string line, string expected)
    {
        var ran = await Commands.ShellAsync(
            $$"""
            source <({{Places.Cheops}} completion {{shell}})
            COMP_WORDS=({{line}}{{(line.EndsWith(' ') ? "\"\"" : "")}})
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _cheops
            echo "${COMPREPLY[*]}"
            """);
        Assert.Equal(expected + "\n", ran.Succeeded().Output);
    }

    // ---- cheops run -------------------------------------------------------------------------------------------

    [Fact]
    public async Task Run_adds_the_scope_to_the_requests_of_any_command()
    {
        var ran = (await _site.CheopsAsync("run", "--scope", "shop: Site2", "--", "curl", "-s", $"{Shop}v1?a=%2F")).Succeeded();
        Assert.Equal("""{"site":"Site2","target":"/v1?a=%2F","scope":"shop: Site2"}""", ran.Output);
        Assert.Equal("", ran.Error);
        var posted = (await _site.CheopsAsync("run", "--scope", "Site2", "curl", "-s", "-H", "Expect: 100-continue", "-H", "Transfer-Encoding: chunked", "-d", "x=1", Shop.ToString())).Succeeded();
        Assert.Contains("\"site\":\"Site2\"", posted.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exit 7", 7)]
    [InlineData("kill -TERM $$", 143)]
    [InlineData("cat; echo done >&2; exit 0", 0)]
    public async Task Run_passes_exit_codes_and_streams_through(string script, int exitCode)
    {
        var ran = await Commands.RunAsync([Places.Cheops, "run", "--scope", "Site2", "--", "sh", "-c", script], input: "in\n");
        Assert.Equal(exitCode, ran.ExitCode);
        if (exitCode == 0) Assert.Equal(("in\n", "done\n"), (ran.Output, ran.Error));
    }

    [Fact]
    public async Task Run_passes_signals_on()
    {
        await using var run = Daemon.Start(
            [Places.Cheops, "run", "--scope", "Site2", "--", "bash", "-c", "trap 'echo got TERM; exit 9' TERM; echo started; while :; do sleep 0.05; done"], new Dictionary<string, string>());
        await Wait.UntilAsync("it started", () => run.Log.Contains("started", StringComparison.Ordinal));
        run.Signal(Daemon.SigTerm);
        Assert.Equal(9, await run.WaitAsync());
        Assert.Contains("got TERM", run.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_says_what_it_cannot_start()
    {
        Assert.Equal(127, (await Commands.RunAsync([Places.Cheops, "run", "--scope", "Site2", "--", "no-such-command"])).ExitCode);
        Assert.Equal(126, (await Commands.RunAsync([Places.Cheops, "run", "--scope", "Site2", "--", "/etc/passwd"])).ExitCode);
        Assert.Equal(127, (await Commands.RunAsync([Places.Cheops, "run", "--scope", "Site2", "--", "/none/kubectl", "--server", "http://x"])).ExitCode);
    }

    [Fact]
    public async Task Run_gives_kubectl_its_server_with_the_scope_behind_it()
    {
        // A kubectl that only tells its line, and the server of its kubeconfig when it is asked for it.
        var kubectl = Path.Combine(_site.Directory, "kubectl");
        await File.WriteAllTextAsync(kubectl, "#!/bin/sh\nif [ \"$1 $2\" = 'config view' ]; then echo \"https://h:6443/base/\"; echo \"$*\" > \"$0.asked\"; exit; fi\nprintf '%s\\n' \"$@\"\n");
        File.SetUnixFileMode(kubectl, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var ran = (await Commands.RunAsync([Places.Cheops, "run", "--scope", "kube: Site1 & Site2", kubectl, "--context", "c", "get", "pods"])).Succeeded();
        Assert.Equal("--context\nc\n--server=https://h:6443/base/@kube%3A%20Site1%20%26%20Site2\nget\npods\n", ran.Output);
        Assert.Contains("--context c", await File.ReadAllTextAsync(kubectl + ".asked"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_gives_openstack_its_plugin_and_becomes_it()
    {
        var openstack = Path.Combine(_site.Directory, "openstack");
        await File.WriteAllTextAsync(openstack, "#!/bin/sh\necho \"$PYTHONPATH\"\necho \"$OS_CHEOPS_SCOPE\"\necho \"$$\"\ntest -f \"${PYTHONPATH%%:*}/cheops_scope.py\" && exit 5\n");
        File.SetUnixFileMode(openstack, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var home = new Dictionary<string, string> { ["XDG_CACHE_HOME"] = Path.Combine(_site.Directory, "cache"), ["PYTHONPATH"] = "/mine" };
        var ran = await Commands.RunAsync([Places.Cheops, "run", "--scope", "{glance: Site2}", openstack, "image", "list"], home);
        Assert.Equal(5, ran.ExitCode);
        var lines = ran.Output.Split('\n');
        Assert.EndsWith(":/mine", lines[0], StringComparison.Ordinal);
        Assert.Equal("glance: Site2", lines[1]);
    }
}
