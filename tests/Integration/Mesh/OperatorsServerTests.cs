using System.Diagnostics;
using System.Net;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>
/// The contract over servers that an operator runs, from the configuration that <c>cheops mesh config</c> prints: the agents
/// start none.
/// </summary>
public sealed class OperatorsServerTests : MeshContract
{
    private readonly string _folder = Directory.CreateTempSubdirectory("cheops-mesh-").FullName;
    private readonly TestAuthority _authority;
    private readonly Dictionary<string, NatsMesh> _meshes = [];
    private readonly Dictionary<string, (int Links, int Agent)> _ports = [];
    private readonly List<Process> _servers = [];

    public OperatorsServerTests() => _authority = new TestAuthority(_folder, "authority");

    private MeshOptions Options(string site, string[] sites) => new()
    {
        Site = site,
        Peers = [.. sites.Where(other => other != site).Select(other => new MeshPeer(other, "127.0.0.1", _ports[other].Links))],
        Listen = new IPEndPoint(IPAddress.Loopback, _ports[site].Links),
        NatsUrl = new Uri($"nats://cheops:of%20{site}@127.0.0.1:{_ports[site].Agent}"),
        NatsServer = "no-such-nats-server",
        Tls = _authority.Issue(site, true),
        Directory = Path.Combine(_folder, site),
    };

    private void StartServer(MeshOptions options)
    {
        Assert.True(NatsMesh.TryConfigure(options, out var text), text);
        var file = Path.Combine(_folder, $"operator-{options.Site}.conf");
        File.WriteAllText(file, text);
        _servers.Add(Process.Start(new ProcessStartInfo("nats-server", ["-c", file]) { RedirectStandardError = true })!);
    }

    protected override async Task<Dictionary<string, MeshNode>> StartAsync(Func<InboundStream, Task> handler, params string[] sites)
    {
        foreach (var site in sites) _ports[site] = (NatsMeshTests.FreePort(), NatsMeshTests.FreePort());
        foreach (var site in sites)
        {
            var options = Options(site, sites);
            StartServer(options);
            _meshes[site] = new NatsMesh(options, TimeProvider.System, (_, _) => { });
            _meshes[site].Node.StreamHandler = handler;
        }

        await Task.WhenAll(_meshes.Values.Select(mesh => mesh.StartAsync()));
        Assert.All(_meshes.Values, mesh => Assert.Equal(0, mesh.ServerStarts));
        return _meshes.ToDictionary(pair => pair.Key, pair => pair.Value.Node);
    }

    // The operator's server stays: only the agent goes.
    protected override async Task StopAsync(string site)
    {
        await _meshes[site].DisposeAsync();
        _meshes.Remove(site);
    }

    public override async Task DisposeAsync()
    {
        foreach (var mesh in _meshes.Values) await mesh.DisposeAsync();
        foreach (var server in _servers)
        {
            server.Kill();
            await server.WaitForExitAsync();
            server.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        _ports["Site1"] = _ports["Site2"] = (7422, 4222);
        var options = Options("Site1", ["Site1", "Site2"]);
        AssertNamed("CHEOPS_PEERS", options with { Peers = [] });
        AssertNamed("CHEOPS_NATS_URL is not set", options with { NatsUrl = null });
        AssertNamed("has no password", options with { NatsUrl = new Uri("nats://127.0.0.1:4222") });
        AssertNamed("tls block", options with { NatsUrl = new Uri("tls://a:b@127.0.0.1:4222") });
        AssertNamed("CHEOPS_MESH_CERT", options with { Tls = null, Listen = new IPEndPoint(IPAddress.Any, 7422) });
        Assert.True(NatsMesh.TryConfigure(options with { NatsUrl = new Uri("nats://a:b@[::1]") }, out var text));
        Assert.Contains("listen: \"[::1]:4222\"", text, StringComparison.Ordinal);

        static void AssertNamed(string what, MeshOptions options)
        {
            Assert.False(NatsMesh.TryConfigure(options, out var mistake));
            Assert.Contains(what, mistake, StringComparison.Ordinal);
        }
    }
}
