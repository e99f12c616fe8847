using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using Cheops.Agent.Transport;
using Cheops.Tests.Integration.Transport;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>Makes pairs of channels that are the two ends of a stream over a link.</summary>
internal sealed class LinkPairs
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource<Channel>> _waiting = new();
    private int _number;

    public Task TakeAsync(InboundStream inbound)
    {
        _waiting[inbound.Opening.ClientAddress].SetResult(inbound.Channel);
        return Task.CompletedTask;
    }

    public async Task<(Channel Left, Channel Right)> ConnectAsync(MeshNode from, string to)
    {
        var name = Interlocked.Increment(ref _number).ToString(CultureInfo.InvariantCulture);
        var inbound = _waiting[name] = new TaskCompletionSource<Channel>(TaskCreationOptions.RunContinuationsAsynchronously);
        var left = from.OpenStream(to, new StreamOpening { Service = "any", ClientAddress = name });

        // The other end exists once something was said.
        await left.Output.WriteAsync(new byte[1]);
        var right = await inbound.Task.WaitAsync(TimeSpan.FromSeconds(20));
        var read = await right.Input.ReadAsync();
        right.Input.AdvanceTo(read.Buffer.GetPosition(1));
        return (left, right);
    }

    public static async Task UpAsync(MeshNode node)
    {
        for (var i = 0; node.Sites.Any(site => site.State != SiteState.Up); i++)
        {
            Assert.True(i < 1000, "the sites do not see each other");
            await Task.Delay(20);
        }
    }
}

/// <summary>Streams over a link in memory are channels.</summary>
public sealed class MemoryLinkChannelTests : ChannelContract, IAsyncLifetime
{
    private readonly MemoryLinks _links = new(TimeProvider.System, new Random(1));
    private readonly LinkPairs _pairs = new();
    private MeshNode? _one;
    private MeshNode? _two;

    private MeshNode Start(string site, string other)
    {
        var options = new MeshOptions { Site = site, Peers = [new MeshPeer(other, null, 0)], Directory = "" };
        var node = new MeshNode(options, peer => _links.Connect(site, peer), () => (uint)site[^1], new Random(1), TimeProvider.System, _ => { }) { StreamHandler = _pairs.TakeAsync };
        node.Start();
        return node;
    }

    public async Task InitializeAsync()
    {
        _one = Start("Site1", "Site2");
        _two = Start("Site2", "Site1");
        await LinkPairs.UpAsync(_one);
        await LinkPairs.UpAsync(_two);
    }

    protected override Task<(Channel Left, Channel Right)> ConnectAsync() => _pairs.ConnectAsync(_one!, "Site2");

    public Task DisposeAsync()
    {
        _one!.Dispose();
        _two!.Dispose();
        return Task.CompletedTask;
    }
}

/// <summary>Two sites over two nats-servers, for all tests of a class.</summary>
public sealed class NatsPair : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-mesh-").FullName;
    private readonly LinkPairs _pairs = new();
    private NatsMesh? _one;
    private NatsMesh? _two;

    internal Task<(Channel Left, Channel Right)> ConnectAsync() => _pairs.ConnectAsync(_one!.Node, "Site2");

    private NatsMesh Make(string site, string other, int port, int otherPort)
    {
        var mesh = new NatsMesh(
            new MeshOptions
            {
                Site = site,
                Peers = [new MeshPeer(other, "127.0.0.1", otherPort)],
                Listen = new IPEndPoint(IPAddress.Loopback, port),
                Directory = Path.Combine(_directory, site),
            },
            TimeProvider.System,
            (_, _) => { });
        mesh.Node.StreamHandler = _pairs.TakeAsync;
        return mesh;
    }

    public async Task InitializeAsync()
    {
        var (port1, port2) = (NatsMeshTests.FreePort(), NatsMeshTests.FreePort());
        _one = Make("Site1", "Site2", port1, port2);
        _two = Make("Site2", "Site1", port2, port1);
        await Task.WhenAll(_one.StartAsync(), _two.StartAsync());
        await LinkPairs.UpAsync(_one.Node);
        await LinkPairs.UpAsync(_two.Node);
    }

    public async Task DisposeAsync()
    {
        await _one!.DisposeAsync();
        await _two!.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>Streams over a link of NATS leaf nodes are channels.</summary>
public sealed class NatsLinkChannelTests(NatsPair pair) : ChannelContract, IClassFixture<NatsPair>
{
    protected override Task<(Channel Left, Channel Right)> ConnectAsync() => pair.ConnectAsync();
}
