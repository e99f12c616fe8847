using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using Xunit.Abstractions;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>The contract over real nats-servers, one for each site, without certificates.</summary>
public class NatsMeshTests(ITestOutputHelper output) : MeshContract
{
    private static int LastPort = Random.Shared.Next(22_000);

    private readonly Dictionary<string, NatsMesh> _meshes = [];
    private readonly Dictionary<string, int> _ports = [];

    protected string Folder { get; } = Directory.CreateTempSubdirectory("cheops-mesh-").FullName;

    protected List<string> Serious { get; } = [];

    protected virtual MeshTls? TlsOf(string site) => null;

    // Below those that the system gives to connections (ip_local_port_range): nobody takes it before the server does.
    internal static int FreePort()
    {
        while (true)
        {
            var port = 10_000 + (Interlocked.Increment(ref LastPort) % 22_000);
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                // Somebody listens there: another one.
            }
        }
    }

    private int PortOf(string site) => _ports.TryGetValue(site, out var port) ? port : _ports[site] = FreePort();

    private MeshOptions Options(string site, string[] sites) => new()
    {
        Site = site,
        Peers = [.. sites.Where(other => other != site).Select(other => new MeshPeer(other, "127.0.0.1", PortOf(other)))],
        Listen = new IPEndPoint(IPAddress.Loopback, PortOf(site)),
        Directory = Path.Combine(Folder, site),
        AgentVersion = "test",
        Tls = TlsOf(site),
    };

    private NatsMesh Make(MeshOptions options) => _meshes[options.Site] = new NatsMesh(options, TimeProvider.System, (line, serious) =>
    {
        if (!serious) return;
        lock (Serious) Serious.Add($"{options.Site}: {line}");
    });

    protected override async Task<Dictionary<string, MeshNode>> StartAsync(Func<InboundStream, Task> handler, params string[] sites)
    {
        foreach (var site in sites) Make(Options(site, sites)).Node.StreamHandler = handler;
        await Task.WhenAll(_meshes.Values.Select(mesh => mesh.StartAsync()));
        return _meshes.ToDictionary(pair => pair.Key, pair => pair.Value.Node);
    }

    protected override async Task StopAsync(string site)
    {
        await _meshes[site].DisposeAsync();
        _meshes.Remove(site);
    }

    public override async Task DisposeAsync()
    {
        foreach (var mesh in _meshes.Values) await mesh.DisposeAsync();
        lock (Serious)
        {
            foreach (var line in Serious) output.WriteLine(line);
        }

        Directory.Delete(Folder, recursive: true);
    }

    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task A_nats_server_that_is_killed_comes_back_and_the_link_with_it(string victim)
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        for (var i = 1; i <= 3; i++)
        {
            using var server = Process.GetProcessById(_meshes[victim].ServerProcessId!.Value);
            server.Kill();
            await server.WaitForExitAsync();
            await Until(() => _meshes[victim].ServerStarts == i + 1, "the server is started again");
            await AnyStreamGoesAsync(nodes["Site1"]);
        }
    }

    // Right after a cut a stream may fail, or be refused because the site is known as down: never hang, and soon succeed.
    private static async Task AnyStreamGoesAsync(MeshNode from)
    {
        var end = DateTime.UtcNow + TimeSpan.FromSeconds(30);
        while (true)
        {
            try
            {
                Assert.True(await RoundTripAsync(from, "Site2", 300_000));
                return;
            }
            catch (LinkException) when (DateTime.UtcNow < end)
            {
                await Task.Delay(50);
            }
        }
    }

    /// <summary>Whether a site that dials this one can be taken up without interrupting the others.</summary>
    protected virtual bool TakesPeersUpByReload => false;

    private Task ReloadAsync(string site, params string[] sites) => _meshes[site].ReloadAsync(Options(site, sites).Peers);

    [Fact]
    public async Task A_site_that_joins_is_taken_up_while_the_others_run()
    {
        string[] all = ["Site1", "Site2", "Site3"];
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        await using var kept = nodes["Site1"].OpenStream("Site2", new StreamOpening { Service = "echo" });
        await kept.Output.WriteAsync("before"u8.ToArray());

        // The newcomer dials, so that nobody else's server has to be started again.
        var newcomer = Make(Options("Site3", all));
        newcomer.Node.StreamHandler = EchoAsync;
        await newcomer.StartAsync();
        await ReloadAsync("Site1", all);
        await ReloadAsync("Site2", all);
        await Until(() => _meshes.Values.All(mesh => mesh.Node.Sites.Length == 3 && mesh.Node.Sites.All(site => site.State == SiteState.Up)), "all three see each other");
        Assert.True(await RoundTripAsync(newcomer.Node, "Site1", 200_000));
        Assert.True(await RoundTripAsync(nodes["Site2"], "Site3", 200_000));
        Assert.Equal(TakesPeersUpByReload ? 1 : 2, _meshes["Site1"].ServerStarts);
        if (!TakesPeersUpByReload) return;
        await kept.Output.WriteAsync(" and after"u8.ToArray());
        await kept.CompleteOutputAsync();
        Assert.Equal("before and after", Encoding.ASCII.GetString(await ReadAllAsync(kept)));
    }

    [Fact]
    public async Task A_site_that_is_no_peer_any_more_is_cut_off_and_the_others_stay()
    {
        string[] all = ["Site1", "Site2", "Site3"];
        var nodes = await StartUpAsync(EchoAsync, all);
        await using var open = nodes["Site3"].OpenStream("Site1", new StreamOpening { Service = "echo" });
        await open.Output.WriteAsync("x"u8.ToArray());
        open.Input.AdvanceTo((await open.Input.ReadAsync()).Buffer.End);
        await ReloadAsync("Site1", "Site1", "Site2");
        await Assert.ThrowsAsync<LinkException>(async () => await open.Input.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(LinkError.UnknownSite, Assert.Throws<LinkException>(() => nodes["Site1"].OpenStream("Site3", new StreamOpening { Service = "echo" })).Error);
        Assert.Equal(["Site1", "Site2"], nodes["Site1"].Sites.Select(site => site.Name));
        await Until(() => StatusOf(nodes["Site3"], "Site1").State == SiteState.Down, "the one that was cut off knows");
        await Until(() => StatusOf(nodes["Site1"], "Site2").State == SiteState.Up && StatusOf(nodes["Site2"], "Site1").State == SiteState.Up, "the others stay");
        await AnyStreamGoesAsync(nodes["Site1"]);
        Assert.True(await RoundTripAsync(nodes["Site3"], "Site2", 200_000));

        // It may come back.
        await ReloadAsync("Site1", all);
        await Until(() => StatusOf(nodes["Site1"], "Site3").State == SiteState.Up && StatusOf(nodes["Site3"], "Site1").State == SiteState.Up, "it is back");
    }

    [Fact]
    public async Task The_last_peer_takes_the_server_with_it_and_the_first_brings_it()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        await ReloadAsync("Site1", "Site1");
        Assert.Null(_meshes["Site1"].ServerProcessId);
        await Until(() => StatusOf(nodes["Site2"], "Site1").State == SiteState.Down, "the other knows");
        await ReloadAsync("Site1", "Site1", "Site2");
        await Until(() => StatusOf(nodes["Site1"], "Site2").State == SiteState.Up && StatusOf(nodes["Site2"], "Site1").State == SiteState.Up, "they are linked again");
        await AnyStreamGoesAsync(nodes["Site1"]);
    }

    [Fact]
    public async Task Peers_that_would_open_the_mesh_or_that_the_server_refuses_change_nothing()
    {
        var nodes = await StartUpAsync(EchoAsync, "Site1", "Site2");
        var wrong = Options("Site1", ["Site1", "Site2"]).Peers.Add(new MeshPeer("Site0", TlsOf("Site1") is null ? "192.0.2.1" : "no host", 7422));
        if (TlsOf("Site1") is not null) wrong = wrong.Add(new MeshPeer("site2", "127.0.0.1", 1));
        await Assert.ThrowsAsync<IOException>(() => _meshes["Site1"].ReloadAsync(wrong));
        Assert.Equal(["Site1", "Site2"], nodes["Site1"].Sites.Select(site => site.Name));
        Assert.Equal(1, _meshes["Site1"].ServerStarts);
        Assert.True(await RoundTripAsync(nodes["Site1"], "Site2", 100_000));
    }

    [Fact]
    public async Task The_configuration_is_for_its_owner_alone_and_the_client_port_for_this_machine()
    {
        await StartUpAsync(EchoAsync, "Site1", "Site2");
        var file = Path.Combine(Folder, "Site1", "nats-server.conf");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        var text = await File.ReadAllTextAsync(file);
        Assert.Contains("listen: \"127.0.0.1:", text, StringComparison.Ordinal);
        Assert.DoesNotContain("http:", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_leaf_user_cannot_sign_in_at_the_client_port_nor_a_stranger_at_either()
    {
        await StartUpAsync(EchoAsync, "Site1", "Site2");
        var text = await File.ReadAllTextAsync(Path.Combine(Folder, "Site1", "nats-server.conf"));
        var clientPort = int.Parse(text.Split("listen: \"127.0.0.1:")[1].Split('"')[0], System.Globalization.CultureInfo.InvariantCulture);
        foreach (var user in (string[])["link_Site2", "site2.cheops.internal", "nobody"])
            Assert.Contains("Authorization Violation", await SignInAsync(clientPort, user, "loopback"), StringComparison.Ordinal);
        Assert.DoesNotContain("PONG", await SignInAsync(PortOf("Site1"), "stranger", "guess"), StringComparison.Ordinal);
    }

    protected static async Task<string> SignInAsync(int port, string user, string password)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        return await SignInAsync(client.GetStream(), user, password);
    }

    protected static async Task<string> SignInAsync(Stream stream, string user, string password)
    {
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        try
        {
            var hello = $"CONNECT {{\"user\":\"{user}\",\"pass\":\"{password}\",\"name\":\"x\",\"lang\":\"x\"}}\r\nPING\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(hello), limit.Token);
            while (await stream.ReadAsync(buffer, limit.Token) is > 0 and var count) answer.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Closed, or kept waiting.
        }

        return answer.ToString();
    }

    [Fact]
    public async Task Without_certificates_only_loopback_is_served()
    {
        var far = Options("Site1", ["Site1"]) with { Tls = null, Listen = new IPEndPoint(IPAddress.Any, PortOf("Site1")), Peers = [new MeshPeer("Site2", null, 0)] };
        await using (var mesh = new NatsMesh(far, TimeProvider.System, (_, _) => { }))
            Assert.Contains("CHEOPS_MESH_CERT", (await Assert.ThrowsAsync<IOException>(mesh.StartAsync)).Message, StringComparison.Ordinal);
        var dialing = far with { Listen = null, Peers = [new MeshPeer("Site2", "192.0.2.1", 7422)] };
        await using (var mesh = new NatsMesh(dialing, TimeProvider.System, (_, _) => { }))
            Assert.Contains("192.0.2.1", (await Assert.ThrowsAsync<IOException>(mesh.StartAsync)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_no_peers_nothing_is_started_and_a_missing_program_is_named()
    {
        var alone = Options("Site1", ["Site1"]) with { NatsServer = "no-such-nats-server" };
        await using (var mesh = new NatsMesh(alone, TimeProvider.System, (_, _) => { }))
        {
            await mesh.StartAsync();
            Assert.Equal(0, mesh.ServerStarts);
        }

        await using (var mesh = new NatsMesh(alone with { Tls = null, Peers = [new MeshPeer("Site2", null, 0)] }, TimeProvider.System, (_, _) => { }))
            Assert.Contains("no-such-nats-server", (await Assert.ThrowsAsync<IOException>(mesh.StartAsync)).Message, StringComparison.Ordinal);
    }
}

/// <summary>The same with mutual TLS, and a certificate for bulk.</summary>
public class NatsTlsMeshTests : NatsMeshTests
{
    private readonly TestAuthority _authority;

    public NatsTlsMeshTests(ITestOutputHelper output)
        : base(output) => _authority = new TestAuthority(Folder, "authority");

    protected virtual bool HasBulkCertificate => true;

    protected override bool TakesPeersUpByReload => true;

    protected override MeshTls? TlsOf(string site) => site == "Site2" && WrongTls is not null ? WrongTls : _authority.Issue(site, HasBulkCertificate);

    [Fact]
    public async Task A_site_whose_certificate_is_from_another_authority_or_bears_another_name_stays_out()
    {
        var strangers = new TestAuthority(Folder, "strangers");
        foreach (var wrong in (MeshTls[])[strangers.Issue("Site2", true) with { Ca = _authority.Ca }, _authority.Issue("Site9", true)])
        {
            WrongTls = wrong;
            int before;
            lock (Serious) before = Serious.Count;
            var nodes = await StartAsync(EchoAsync, "Site1", "Site2");

            // Refused, and not only not there yet.
            await Until(() => RefusalsAfter(before) >= 2, "the servers tell that they refuse the link");
            Assert.DoesNotContain(nodes["Site1"].Sites, site => site is { IsSelf: false, State: SiteState.Up });
            Assert.DoesNotContain(nodes["Site2"].Sites, site => site is { IsSelf: false, State: SiteState.Up });
            await StopAsync("Site1");
            await StopAsync("Site2");
        }
    }

    private int RefusalsAfter(int before)
    {
        lock (Serious) return Serious.Skip(before).Count(line => line.Contains("TLS", StringComparison.Ordinal) || line.Contains("Authorization", StringComparison.Ordinal));
    }

    private MeshTls? WrongTls { get; set; }
}

/// <summary>The same with one certificate for each site: both lanes share a link.</summary>
public sealed class NatsSharedLinkMeshTests(ITestOutputHelper output) : NatsTlsMeshTests(output)
{
    protected override bool HasBulkCertificate => false;
}
