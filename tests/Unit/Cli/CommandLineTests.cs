using System.Collections.Immutable;
using Cheops.Agent.Cli;
using Cheops.Agent.Cli.Running;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Cli;

public sealed class CommandLineTests : IDisposable
{
    private readonly StringWriter _out = new();
    private readonly StringWriter _error = new();
    private readonly Dictionary<string, string> _environment = new()
    {
        ["CHEOPS_SITE"] = "Site1",
        ["CHEOPS_SERVICES"] = "shop@127.0.0.1:8080=http://127.0.0.1:8081,kube@127.0.0.1:6443=https://kube.internal:6443",
        ["CHEOPS_PEERS"] = "Site2@127.0.2.1:7422",
        ["CHEOPS_NATS_SERVER"] = "/bin/sh",
        ["CHEOPS_API_LISTEN"] = "127.0.0.1:1",
        ["CHEOPS_DATA"] = "/tmp/none",
    };

    public void Dispose()
    {
        _out.Dispose();
        _error.Dispose();
    }

    private CliContext Context => new() { Out = _out, Error = _error, Environment = _environment, Time = new FakeTimeProvider() };

    private Task<int> RunAsync(params string[] arguments) => CommandLine.RunAsync(arguments, Context);

    public static TheoryData<string> CommandNames => [.. CommandTable.All.Select(command => command.Name)];

    [Theory]
    [MemberData(nameof(CommandNames))]
    public async Task Every_command_has_help_with_its_options_and_examples_that_it_takes(string name)
    {
        var command = CommandTable.All.Single(one => one.Name == name);
        Assert.Equal(0, await RunAsync([.. name.Split(' '), "--help"]));
        var help = _out.ToString();
        Assert.All(command.Options, option => Assert.Contains(option.Name, help, StringComparison.Ordinal));
        Assert.Contains("Examples:", help, StringComparison.Ordinal);
        Assert.Contains("Exit codes:", help, StringComparison.Ordinal);
        Assert.All(help.Split('\n'), line => Assert.True(line.Length <= 160, line));
        foreach (var example in command.Examples)
        {
            var words = ShellWords(example);
            var start = words.IndexOf("cheops");
            var parsed = new ArgumentParser(CommandTable.All, Context).Parse([.. words.Skip(start + 1)]);
            Assert.True(parsed.Invocation?.Command == command, $"{example}: {parsed.Mistake}");
        }
    }

    // Words of an example as a shell gives them, up to a pipe or redirection.
    private static List<string> ShellWords(string line)
    {
        var words = new List<string>();
        var word = "";
        var quote = '\0';
        foreach (var c in line.Replace("<(", "", StringComparison.Ordinal).Replace(")", "", StringComparison.Ordinal) + " ")
        {
            if (quote != 0 && c == quote) quote = '\0';
            else if (quote == 0 && c is '\'' or '"') quote = c;
            else if (quote == 0 && c is '|' or '>' or '<') break;
            else if (quote == 0 && c == ' ')
            {
                if (word.Length > 0) words.Add(word);
                word = "";
            }
            else word += c;
        }

        return words;
    }

    [Theory]
    [InlineData("sitess", "did you mean 'sites'?")]
    [InlineData("sites --outptu json", "did you mean '--output'?")]
    [InlineData("sites --output xml", "table or json")]
    [InlineData("sites --output", "needs a value")]
    [InlineData("sites --api a --api b", "given twice")]
    [InlineData("sites extra", "more than it takes")]
    [InlineData("scope explian x", "did you mean 'scope explain'?")]
    [InlineData("scope explain", "SCOPE is missing")]
    [InlineData("redirect install --print=yes", "takes no value")]
    [InlineData("completion tcsh", "bash or zsh or fish")]
    [InlineData("help nothing", "no command 'nothing'")]
    [InlineData("run", "say which command")]
    [InlineData("run ls", "--scope")]
    [InlineData("run --scope ;; ls", "column 1")]
    [InlineData("sites --api nowhere", "has no port")]
    [InlineData("redirect install", "--except-user USER or --except-cgroup PATH")]
    [InlineData("redirect install --except-user a;b", "no user's name")]
    [InlineData("redirect install --except-user a --service show", "did you mean 'shop'?")]
    [InlineData("redirect install --except-user a", "kube: its instance speaks TLS and its listener plain HTTP")]
    [InlineData("scope explain Site2", "--service SERVICE")]
    [InlineData("sites --env-file /none/at/all", "--env-file")]
    public async Task A_mistake_exits_with_2_and_says_what_to_do(string line, string expected)
    {
        Assert.Equal(2, await RunAsync(line.Split(' ')));
        Assert.Contains(expected, _error.ToString(), StringComparison.Ordinal);
        Assert.Equal("", _out.ToString());
    }

    [Fact]
    public async Task An_agent_that_is_not_there_exits_with_3()
    {
        Assert.Equal(3, await RunAsync("sites"));
        Assert.Contains("no agent answers at 127.0.0.1:1", _error.ToString(), StringComparison.Ordinal);
        Assert.Equal(3, await RunAsync("health"));
        Assert.Equal(3, await RunAsync("scope", "explain", "Site2", "-s", "shop"));
    }

    [Fact]
    public async Task Check_says_that_all_is_right_or_every_mistake()
    {
        Assert.Equal(0, await RunAsync("check"));
        Assert.Contains("site Site1: the settings are right", _out.ToString(), StringComparison.Ordinal);
        _environment["CHEOPS_LOG"] = "x";
        _environment["CHEOPS_SITES"] = "y";
        _environment["CHEOPS_PROFILES"] = "openstck";
        _environment["CHEOPS_TLS_CERT"] = "/none/a.crt";
        _environment["CHEOPS_TLS_KEY"] = "/none/a.key";
        _environment["CHEOPS_NATS_SERVER"] = "/none/nats-server";
        Assert.Equal(2, await RunAsync("check"));
        Assert.Contains("CHEOPS_LOG: ", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_SITES: no such variable; did you mean 'CHEOPS_SITE'?", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_PROFILES: no profile 'openstck' is built in", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_TLS_CERT: /none/a.crt does not exist", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_TLS_KEY: /none/a.key does not exist", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CHEOPS_NATS_SERVER: '/none/nats-server' is no program", _error.ToString(), StringComparison.Ordinal);
        Assert.Contains("6 mistakes", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_variables_fills_what_the_environment_leaves_open()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "CHEOPS_SITE=Other\nCHEOPS_LOG=loud\n");
            Assert.Equal(2, await RunAsync("check", "--env-file", file));
            Assert.Contains("CHEOPS_LOG", _error.ToString(), StringComparison.Ordinal);
            await File.WriteAllTextAsync(file, "CHEOPS_SITE=Other\nCHEOPS_LOG=warn\n");
            Assert.Equal(0, await RunAsync("check", $"--env-file={file}"));
            Assert.Contains("site Site1", _out.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task A_scope_is_explained_offline()
    {
        Assert.Equal(0, await RunAsync("scope", "explain", "{shop: Site2 ; here}", "-s", "shop", "--offline"));
        Assert.Contains("Site2", _out.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, await RunAsync("scope", "explain", "shop: Site7", "-s", "shop", "--offline", "-o", "json"));
        Assert.Contains("UnknownSite", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_are_printed_without_being_put_in_place()
    {
        Assert.Equal(0, await RunAsync("redirect", "install", "--except-user", "cheops", "--service", "shop", "--print"));
        Assert.Contains("ip daddr 127.0.0.1 tcp dport 8081 counter dnat ip to 127.0.0.1:8080", _out.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Everything_behind_the_first_word_of_a_command_to_run_is_its_own()
    {
        var parsed = new ArgumentParser(CommandTable.All, Context).Parse(["run", "--scope", "Site2", "curl", "--help", "--scope", "x"]);
        Assert.Equal(["curl", "--help", "--scope", "x"], parsed.Invocation!.Rest.AsEnumerable());
        Assert.Equal("Site2", parsed.Invocation.Options["--scope"]);
    }

    [Theory]
    [InlineData("get pods", "get @ pods")]
    [InlineData("-n ns get pods", "-n ns @ get pods")]
    [InlineData("--v=6 exec pod -- ls", "--v=6 exec @ pod -- ls")]
    [InlineData("--all", "@ --all")]
    [InlineData("-- x", "@ -- x")]
    public void Kubectl_gets_its_server_where_plugins_are_still_found(string line, string expected) =>
        Assert.Equal(expected, string.Join(' ', KubectlRun.Insert([.. line.Split(' ')], "@")));

    [Theory]
    [InlineData("get pods --server https://a:1", "get pods", "https://a:1")]
    [InlineData("-s https://a:1 get pods", "get pods", "https://a:1")]
    [InlineData("get --server=https://a:1 pods", "get pods", "https://a:1")]
    [InlineData("exec p -- curl -s x", "exec p -- curl -s x", null)]
    public void Kubectl_s_own_server_is_taken_from_the_line(string line, string left, string? server)
    {
        Assert.Equal(left, string.Join(' ', KubectlRun.TakeServer([.. line.Split(' ')], out var found)));
        Assert.Equal(server, found);
    }

    [Fact]
    public void Kubectl_is_asked_with_what_chooses_the_server() => Assert.Equal(
        ["--context", "c", "--kubeconfig=k"], KubectlRun.Chosen(ImmutableArray.Create("get", "--context", "c", "-n", "x", "--kubeconfig=k", "--", "--cluster", "y")).AsEnumerable());

    [Fact]
    public void The_openstack_plugin_is_laid_once_and_whole()
    {
        var cache = Directory.CreateTempSubdirectory("cheops-test-");
        try
        {
            var first = OpenStackRun.LayPlugin(cache.FullName);
            Assert.Equal(first, OpenStackRun.LayPlugin(cache.FullName));
            Assert.Contains("class Carry", File.ReadAllText(Path.Combine(first, "cheops_scope.py")), StringComparison.Ordinal);
            Assert.Contains("openstack.cli.extension", File.ReadAllText(Path.Combine(first, "cheops_scope-0.1.dist-info", "entry_points.txt")), StringComparison.Ordinal);
            Assert.Single(Directory.GetDirectories(Path.Combine(cache.FullName, "cheops")));
        }
        finally
        {
            cache.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_table_of_sites_shows_ages_and_refuses_what_is_no_list()
    {
        const string body = """
            {"sites":[{"name":"Site1","self":true,"state":"up","services":{}},
            {"name":"Site2","self":false,"state":"silent","heardSecondsAgo":300,"roundTripMs":12.5,"roundTripSecondsAgo":301,"services":{"glance":"2.0","x":""},"reason":"cut off"},
            {"name":"S","self":false,"state":"unknown","heardSecondsAgo":null,"services":{}}]}
            """;
        Assert.Equal(
            "SITE   STATE    ROUND TRIP           HEARD      SERVICES       AGENT  REASON\n"
            + "Site1  up       -                    this site  -              -      -\n"
            + "Site2  silent   12.5 ms (5 min ago)  5 min ago  glance 2.0, x  -      cut off\n"
            + "S      unknown  -                    never      -              -      -\n",
            SitesCommand.Table(body));
        Assert.Throws<ApiUnreachableException>(() => SitesCommand.Table("{}"));
        Assert.Throws<ApiUnreachableException>(() => SitesCommand.Table("<html>"));
    }

    [Fact]
    public async Task The_configuration_for_an_operators_server_is_printed()
    {
        _environment["CHEOPS_NATS_URL"] = "nats://cheops:geheim@127.0.0.1:4300";
        _environment["CHEOPS_MESH_LISTEN"] = "127.0.1.1:7422";
        Assert.Equal(0, await RunAsync("mesh", "config"));
        Assert.Contains("listen: \"127.0.0.1:4300\"", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("listen: \"127.0.1.1:7422\"", _out.ToString(), StringComparison.Ordinal);
        Assert.Contains("{user: \"link_Site2\", password: \"geheim\"", _out.ToString(), StringComparison.Ordinal);

        _environment["CHEOPS_NATS_URL"] = "nats://127.0.0.1:4300";
        Assert.Equal(2, await RunAsync("mesh", "config"));
        Assert.Contains("password", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scope_over_a_profiles_services_is_explained_without_an_agent()
    {
        Assert.Equal(2, await RunAsync("scope", "explain", "{glance: Site2}", "-s", "shop", "--offline"));
        _environment["CHEOPS_PROFILES"] = "openstack";
        Assert.Equal(0, await RunAsync("scope", "explain", "{glance: Site2}", "-s", "shop", "--offline"));
    }
}
