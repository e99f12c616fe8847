using System.Buffers;
using System.Net;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>Two sites over two real nats-servers.</summary>
public sealed class NatsMeshTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-mesh-").FullName;
    private readonly List<NatsMesh> _meshes = [];

    private static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private NatsMesh Make(string site, int port, params MeshPeer[] peers)
    {
        var mesh = new NatsMesh(
            new MeshOptions
            {
                Site = site,
                Peers = [.. peers],
                Listen = new IPEndPoint(IPAddress.Loopback, port),
                Directory = Path.Combine(_directory, site),
                AgentVersion = "test",
            },
            TimeProvider.System,
            (line, serious) =>
            {
                if (serious) Console.Error.WriteLine($"{site}: {line}");
            });
        _meshes.Add(mesh);
        return mesh;
    }

    private static async Task Until(Func<bool> condition, string what)
    {
        var end = DateTime.UtcNow + TimeSpan.FromSeconds(20);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, $"within 20 s: {what}");
            await Task.Delay(20);
        }
    }

    private async Task<(NatsMesh One, NatsMesh Two)> TwoSitesAsync(Func<InboundStream, Task> atTwo)
    {
        var (port1, port2) = (FreePort(), FreePort());
        var one = Make("Site1", port1, new MeshPeer("Site2", "127.0.0.1", port2));
        var two = Make("Site2", port2, new MeshPeer("Site1", "127.0.0.1", port1));
        two.Node.StreamHandler = atTwo;
        one.Node.StreamHandler = stream => stream.Channel.DisposeAsync().AsTask();
        await Task.WhenAll(one.StartAsync(), two.StartAsync());
        await Until(() => one.Node.Sites[1].State == SiteState.Up && two.Node.Sites[1].State == SiteState.Up, "both sites see each other");
        return (one, two);
    }

    private static async Task EchoAsync(InboundStream inbound)
    {
        await using var channel = inbound.Channel;
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            foreach (var piece in read.Buffer) await channel.Output.WriteAsync(piece);
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }

        await channel.CompleteOutputAsync();
    }

    private static async Task<byte[]> ReadAllAsync(Channel channel)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            foreach (var piece in read.Buffer) all.Write(piece.Span);
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return all.WrittenSpan.ToArray();
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData(5_000_000)]
    public async Task A_stream_carries_bytes_both_ways(int size)
    {
        var (one, _) = await TwoSitesAsync(EchoAsync);
        var sent = new byte[size];
        new Random(size).NextBytes(sent);
        await using var channel = one.Node.OpenStream("Site2", new StreamOpening { Service = "echo" });
        var reading = ReadAllAsync(channel);
        await channel.Output.WriteAsync(sent);
        await channel.CompleteOutputAsync();
        var echoed = await reading.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.True(sent.AsSpan().SequenceEqual(echoed));
        Assert.True(one.Node.Sites[1].RoundTrip > TimeSpan.Zero);
    }

    [Fact]
    public async Task Hundreds_of_streams_go_at_once()
    {
        var (one, _) = await TwoSitesAsync(EchoAsync);
        var streams = Enumerable.Range(0, 300).Select(async i =>
        {
            var sent = new byte[1 + i * 700];
            new Random(i).NextBytes(sent);
            await using var channel = one.Node.OpenStream("Site2", new StreamOpening { Service = "echo" });
            var reading = ReadAllAsync(channel);
            await channel.Output.WriteAsync(sent);
            await channel.CompleteOutputAsync();
            var echoed = await reading;
            return sent.AsSpan().SequenceEqual(echoed);
        });
        Assert.All(await Task.WhenAll(streams).WaitAsync(TimeSpan.FromSeconds(60)), Assert.True);
    }

    [Fact]
    public async Task A_site_that_goes_is_down_and_what_was_open_is_lost()
    {
        var (one, two) = await TwoSitesAsync(EchoAsync);
        await using var channel = one.Node.OpenStream("Site2", new StreamOpening { Service = "echo" });
        await channel.Output.WriteAsync("hello"u8.ToArray());
        var first = await channel.Input.ReadAsync();
        channel.Input.AdvanceTo(first.Buffer.End);
        var pending = channel.Input.ReadAsync();
        await two.DisposeAsync();
        _meshes.Remove(two);
        var lost = await Assert.ThrowsAsync<LinkException>(async () => await pending.AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(LinkError.LinkLost, lost.Error);
        var refused = Assert.Throws<LinkException>(() => one.Node.OpenStream("Site2", new StreamOpening { Service = "echo" }));
        Assert.Equal(LinkError.SiteDown, refused.Error);
        Assert.True(refused.NothingExecuted);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var mesh in _meshes) await mesh.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
