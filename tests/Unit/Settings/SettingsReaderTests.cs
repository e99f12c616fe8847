using System.Collections.Immutable;
using System.Net;
using Cheops.Agent.Settings;
using Cheops.Proto;
using CsCheck;
using Microsoft.Extensions.Logging;

namespace Cheops.Tests.Unit.Settings;

public sealed class SettingsReaderTests
{
    private static Dictionary<string, string> Minimal() => new()
    {
        ["CHEOPS_SITE"] = "Site1",
        ["CHEOPS_SERVICES"] = "glance@127.0.1.1:19292=http://127.0.1.1:9292",
    };

    private static AgentSettings Read(params (string Name, string Value)[] more)
    {
        var variables = Minimal();
        foreach (var (name, value) in more) variables[name] = value;
        Assert.True(SettingsReader.TryRead(variables, out var settings, out var mistakes), string.Join('\n', mistakes));
        return settings;
    }

    private static ImmutableArray<SettingMistake> Mistakes(params (string Name, string Value)[] more)
    {
        var variables = Minimal();
        foreach (var (name, value) in more) variables[name] = value;
        Assert.False(SettingsReader.TryRead(variables, out var settings, out var mistakes));
        Assert.Null(settings);
        return mistakes;
    }

    [Fact]
    public void The_least_that_is_needed_gives_the_documented_defaults()
    {
        var settings = Read();
        Assert.Equal("Site1", settings.Site);
        var glance = Assert.Single(settings.Services);
        Assert.Equal(IPEndPoint.Parse("127.0.1.1:19292"), Assert.Single(glance.Listen));
        Assert.Equal(new UpstreamAddress(false, "127.0.1.1", 9292), glance.Upstream);
        Assert.Null(glance.Tls);
        Assert.Equal(new UpstreamTlsSettings(), glance.UpstreamTls);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:7070"), settings.ApiListen);
        Assert.Equal("/var/lib/cheops", settings.DataDirectory);
        Assert.Equal("nats-server", settings.Mesh.NatsServer);
        Assert.Empty(settings.Mesh.Peers);
        Assert.Null(settings.Mesh.Listen);
        Assert.Equal(LogLevel.Information, settings.LogLevel);
    }

    [Fact]
    public void The_examples_of_the_design_are_read()
    {
        var settings = Read(
            ("CHEOPS_PEERS", "Site2@127.0.2.1:7422,Site3"),
            ("CHEOPS_MESH_LISTEN", "127.0.1.1:7422"),
            ("CHEOPS_NATS_SERVER", "nats-server"),
            ("CHEOPS_API_LISTEN", "127.0.1.1:7070"),
            ("CHEOPS_DATA", "/var/lib/cheops"),
            ("CHEOPS_PROFILES", "openstack,/etc/cheops/shop.json"),
            ("CHEOPS_LOG", "debug"));
        Assert.Equal([new PeerSettings("Site2", new HostPort("127.0.2.1", 7422)), new PeerSettings("Site3", null)], settings.Mesh.Peers.AsEnumerable());
        Assert.Equal([new ProfileReference("openstack", false), new ProfileReference("/etc/cheops/shop.json", true)], settings.Profiles.AsEnumerable());
        Assert.Equal(LogLevel.Debug, settings.LogLevel);
    }

    [Fact]
    public void A_service_may_have_several_listeners_and_ipv6_addresses()
    {
        var settings = Read(("CHEOPS_SERVICES", " kube@[::1]:6443=https://kube.internal , kube@127.0.0.1:6443=https://kube.internal:443/ , x@0.0.0.0:80=http://[fd00::1] "));
        var kube = settings.Services[0];
        Assert.Equal([IPEndPoint.Parse("[::1]:6443"), IPEndPoint.Parse("127.0.0.1:6443")], kube.Listen.AsEnumerable());
        Assert.Equal(new UpstreamAddress(true, "kube.internal", 443), kube.Upstream);
        Assert.Equal("http://[fd00::1]:80", settings.Services[1].Upstream.ToString());
    }

    [Fact]
    public void A_variable_of_one_service_comes_before_that_of_all_also_when_it_is_empty()
    {
        var settings = Read(
            ("CHEOPS_SERVICES", "kube-api@127.0.0.1:6443=https://127.0.0.2:6443,shop@127.0.0.1:80=http://127.0.0.2:80,web@127.0.0.1:81=https://127.0.0.2:81"),
            ("CHEOPS_TLS_CERT", "/all.crt"), ("CHEOPS_TLS_KEY", "/all.key"), ("CHEOPS_TLS_CLIENT_CA", "/all.ca"),
            ("CHEOPS_TLS_CERT_SHOP", ""), ("CHEOPS_TLS_KEY_SHOP", ""), ("CHEOPS_TLS_CLIENT_CA_SHOP", ""),
            ("CHEOPS_UPSTREAM_CA", "/up.ca"), ("CHEOPS_UPSTREAM_CA_KUBE_API", "/kube.ca"),
            ("CHEOPS_UPSTREAM_CERT_KUBE_API", "/proxy.crt"), ("CHEOPS_UPSTREAM_KEY_KUBE_API", "/proxy.key"), ("CHEOPS_SERVICE_CREDENTIAL_SHOP", "/shop.rc"));
        Assert.Equal(new ListenerTlsSettings("/all.crt", "/all.key", "/all.ca"), settings.Services[0].Tls);
        Assert.Equal(new UpstreamTlsSettings { CaFile = "/kube.ca", CertificateFile = "/proxy.crt", KeyFile = "/proxy.key" }, settings.Services[0].UpstreamTls);
        Assert.Null(settings.Services[1].Tls);
        Assert.Equal([null, "/shop.rc", null], settings.Services.Select(service => service.CredentialFile));
        Assert.Equal("/up.ca", settings.Services[2].UpstreamTls.CaFile);
    }

    [Fact]
    public void An_empty_api_listen_turns_the_api_off() => Assert.Null(Read(("CHEOPS_API_LISTEN", "")).ApiListen);

    [Theory]
    [InlineData("CHEOPS_SITE", "", "required")]
    [InlineData("CHEOPS_SITE", "1site", "no site's name")]
    [InlineData("CHEOPS_SITE", "Si te", "no site's name")]
    [InlineData("CHEOPS_SITE", "here", "word of scopes")]
    [InlineData("CHEOPS_SERVICES", "", "required")]
    [InlineData("CHEOPS_SERVICES", "glance", "expected name@listen=instance")]
    [InlineData("CHEOPS_SERVICES", "glance=http://127.0.0.1:1@127.0.0.1:2", "expected name@listen=instance")]
    [InlineData("CHEOPS_SERVICES", "9@127.0.0.1:1=http://127.0.0.1:2", "no service's name")]
    [InlineData("CHEOPS_SERVICES", "glance@localhost:1=http://127.0.0.1:2", "host name; the agent listens at IP addresses")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1=http://127.0.0.1:2", "has no port")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:0=http://127.0.0.1:2", "no port")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:65536=http://127.0.0.1:2", "no port")]
    [InlineData("CHEOPS_SERVICES", "glance@::1:80=http://127.0.0.1:2", "[address]:port")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=ftp://127.0.0.1:2", "http:// or https://")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=http://127.0.0.1:2/v2", "has a path")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=http://me:geheim@127.0.0.1:2", "must not carry a user")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=http://127.0.0.1:2,,", "between commas is empty")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=http://127.0.0.1:80", "send requests to itself")]
    [InlineData("CHEOPS_SERVICES", "glance@0.0.0.0:80=http://localhost:80", "send requests to itself")]
    [InlineData("CHEOPS_SERVICES", "a@127.0.0.1:80=http://127.0.0.1:1,a@127.0.0.1:81=http://127.0.0.1:2", "two instances")]
    [InlineData("CHEOPS_SERVICES", "a@127.0.0.1:80=http://127.0.0.1:1,b@127.0.0.1:80=http://127.0.0.1:2", "give it another port")]
    [InlineData("CHEOPS_SERVICES", "a@127.0.0.1:80=http://127.0.0.1:1,b@0.0.0.0:80=http://127.0.0.1:2", "give it another port")]
    [InlineData("CHEOPS_SERVICES", "a-b@127.0.0.1:80=http://127.0.0.1:1,a.b@127.0.0.1:81=http://127.0.0.1:2", "same suffix A_B")]
    [InlineData("CHEOPS_API_LISTEN", "127.0.1.1:19292", "give it another port")]
    [InlineData("CHEOPS_API_LISTEN", "7070", "has no port")]
    [InlineData("CHEOPS_PEERS", "Site1@127.0.0.1:1", "is this site")]
    [InlineData("CHEOPS_PEERS", "Site2@127.0.0.1:1,Site2@127.0.0.1:2", "named twice")]
    [InlineData("CHEOPS_PEERS", "Site2@127.0.0.1:1,Site3@127.0.0.1:1", "same address")]
    [InlineData("CHEOPS_PEERS", "Site2@10.0.0.2:7422", "no loopback address")]
    [InlineData("CHEOPS_PEERS", "Site2@edge.example:7422", "no loopback address")]
    [InlineData("CHEOPS_PEERS", "Site2@", "address is empty")]
    [InlineData("CHEOPS_PEERS", "Site2@1.2.3:7422", "neither an address nor a host name")]
    [InlineData("CHEOPS_PEERS", "Site2", "set CHEOPS_MESH_LISTEN")]
    [InlineData("CHEOPS_MESH_LISTEN", "0.0.0.0:7422", "no loopback address")]
    [InlineData("CHEOPS_MESH_CERT", "/a.crt", "all three")]
    [InlineData("CHEOPS_NATS_URL", "http://127.0.0.1:4222", "expected the URL of a NATS server")]
    [InlineData("CHEOPS_DATA", "var/lib", "no absolute path")]
    [InlineData("CHEOPS_PROFILES", "openstack,openstack", "named twice")]
    [InlineData("CHEOPS_TLS_CERT", "/a.crt", "set CHEOPS_TLS_KEY too")]
    [InlineData("CHEOPS_TLS_KEY", "/a.key", "set CHEOPS_TLS_CERT too")]
    [InlineData("CHEOPS_TLS_CLIENT_CA", "/a.ca", "set CHEOPS_TLS_CERT and CHEOPS_TLS_KEY too")]
    [InlineData("CHEOPS_UPSTREAM_CERT", "/a.crt", "set CHEOPS_UPSTREAM_KEY too")]
    [InlineData("CHEOPS_UPSTREAM_CA_GLANCE", "/a.ca", "without TLS")]
    [InlineData("CHEOPS_LOG", "verbose", "expected error, warn, info or debug")]
    [InlineData("CHEOPS_SERVICE", "x", "did you mean 'CHEOPS_SERVICES'?")]
    [InlineData("CHEOPS_UPSTREAM_CA_GLANC", "x", "did you mean 'CHEOPS_UPSTREAM_CA_GLANCE'?")]
    [InlineData("CHEOPS_TLS_CERT_KEYSTONE", "x", "no service has the suffix 'KEYSTONE'")]
    [InlineData("CHEOPS_FROBNICATE", "x", "no such variable")]
    public void A_mistake_is_told_by_name_with_what_is_expected(string name, string value, string expected)
    {
        var mistakes = Mistakes((name, value));
        Assert.Contains(mistakes, mistake => mistake.Message.Contains(expected, StringComparison.Ordinal));
        Assert.Contains(mistakes, mistake => mistake.Variable == name || name is "CHEOPS_MESH_CERT");
    }

    [Fact]
    public void Every_mistake_is_told_at_once()
    {
        var mistakes = Mistakes(
            ("CHEOPS_SITE", "?"), ("CHEOPS_SERVICES", "a@x=http://127.0.0.1:1,b"), ("CHEOPS_API_LISTEN", "nowhere"), ("CHEOPS_PEERS", "?@?"),
            ("CHEOPS_LOG", "loud"), ("CHEOPS_DATA", "here"), ("CHEOPS_TLS_CERT", "/x"), ("CHEOPS_NATS_URL", "?"), ("CHEOPS_OTHER", "1"));
        string[] expected = ["CHEOPS_SITE", "CHEOPS_SERVICES", "CHEOPS_API_LISTEN", "CHEOPS_PEERS", "CHEOPS_LOG", "CHEOPS_DATA", "CHEOPS_NATS_URL", "CHEOPS_OTHER"];
        Assert.Empty(expected.Except(mistakes.Select(mistake => mistake.Variable)));
        Assert.Equal(2, mistakes.Count(mistake => mistake.Variable == "CHEOPS_SERVICES"));
    }

    [Theory]
    [InlineData("CHEOPS_NATS_URL", "http://user:geheim@127.0.0.1:4222")]
    [InlineData("CHEOPS_NATS_URL", "nats:// user:geheim@127.0.0.1")]
    [InlineData("CHEOPS_SERVICES", "glance@127.0.0.1:80=http://me:geheim@127.0.0.1:2")]
    [InlineData("CHEOPS_SERVICES", "http://me:geheim@127.0.0.1:2")]
    public void A_password_is_never_shown(string name, string value) =>
        Assert.DoesNotContain("geheim", string.Join('\n', Mistakes((name, value))), StringComparison.Ordinal);

    [Fact]
    public void A_nats_url_prints_without_its_password()
    {
        var settings = Read(("CHEOPS_NATS_URL", "nats://me:geheim@127.0.0.1:4222"), ("CHEOPS_PEERS", "Site2"));
        Assert.Equal("nats://127.0.0.1:4222", settings.Mesh.NatsUrl!.ToString());
        Assert.DoesNotContain("geheim", settings.ToString(), StringComparison.Ordinal);
        Assert.Equal("me:geheim", settings.Mesh.NatsUrl.Secret.UserInfo);
    }

    [Fact]
    public void Variables_of_others_and_of_the_scripts_are_passed_over() =>
        Read(("PATH", "/bin"), ("CHEOPSX", "1"), ("CHEOPS_BIN", "out/cheops"), ("CHEOPS_SHARED", "../shared"));

    [Fact]
    public void Any_text_in_any_variable_gives_settings_or_mistakes_with_printable_messages()
    {
        var text = Gen.OneOf(Gen.String, Gen.String[Gen.Char["@:=,[]/.-1a "], 0, 40]);
        Gen.Select(Gen.Int[0, Variables.All.Length - 1], text).Sample((index, value) =>
        {
            var variables = Minimal();
            variables[Variables.All[index]] = value;
            var isRead = SettingsReader.TryRead(variables, out var settings, out var mistakes);
            Assert.Equal(isRead, settings is not null);
            Assert.Equal(isRead, mistakes.IsEmpty);
            Assert.All(mistakes, mistake => Assert.True(mistake.ToString().Length < 1000 && !mistake.ToString().Any(char.IsControl), mistake.ToString()));
        }, iter: 3000);
    }

    [Fact]
    public void Too_long_a_value_is_refused() =>
        Assert.Contains(Mistakes(("CHEOPS_PROFILES", new string('x', Bounds.SettingLengthMax + 1))), mistake => mistake.Message.Contains("longer than", StringComparison.Ordinal));
}
