using Cheops.Agent.Settings;

namespace Cheops.Tests.Unit.Settings;

public sealed class SettingsChangeTests
{
    private static AgentSettings Read(params (string Name, string Value)[] more)
    {
        var variables = new Dictionary<string, string>
        {
            ["CHEOPS_SITE"] = "Site1",
            ["CHEOPS_SERVICES"] = "shop@127.0.0.1:80=https://127.0.0.1:81",
            ["CHEOPS_TLS_CERT"] = "/a.crt",
            ["CHEOPS_TLS_KEY"] = "/a.key",
        };
        foreach (var (name, value) in more) variables[name] = value;
        Assert.True(SettingsReader.TryRead(variables, out var settings, out var mistakes), string.Join('\n', mistakes));
        return settings;
    }

    [Fact]
    public void Peers_certificates_and_the_level_of_the_log_change_without_a_restart() => Assert.Empty(SettingsChange.NeedingRestart(
        Read(), Read(("CHEOPS_LOG", "debug"), ("CHEOPS_PEERS", "Site2@127.0.0.2:7422"), ("CHEOPS_TLS_CERT", "/b.crt"), ("CHEOPS_TLS_KEY", "/b.key"), ("CHEOPS_UPSTREAM_CA", "/c.crt"))));

    [Theory]
    [InlineData("CHEOPS_SITE", "Site9")]
    [InlineData("CHEOPS_SERVICES", "shop@127.0.0.1:82=https://127.0.0.1:81")]
    [InlineData("CHEOPS_MESH_LISTEN", "127.0.0.1:7422")]
    [InlineData("CHEOPS_API_LISTEN", "127.0.0.1:7071")]
    [InlineData("CHEOPS_DATA", "/else")]
    [InlineData("CHEOPS_PROFILES", "openstack")]
    [InlineData("CHEOPS_NATS_SERVER", "/opt/nats")]
    public void Everything_else_is_named(string name, string value) =>
        Assert.Equal([name], SettingsChange.NeedingRestart(Read(), Read((name, value))).AsEnumerable());

    [Fact]
    public void That_tls_goes_is_named() => Assert.Equal(
        ["CHEOPS_TLS_CERT"], SettingsChange.NeedingRestart(Read(), Read(("CHEOPS_TLS_CERT", ""), ("CHEOPS_TLS_KEY", ""))).AsEnumerable());
}
