using System.Collections.Concurrent;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>One end of a link, with what arrived at it.</summary>
internal sealed class LinkEnd
{
    // The tests' own messages are longer.
    private const int ProbeSize = 1;

    private readonly ConcurrentQueue<byte[]>[] _received = [new(), new()];
    private volatile int _probed;

    public LinkEnd(ILinkTransport transport)
    {
        Transport = transport;
        transport.Start(Receive, Undeliverable.Enqueue);
    }

    public ILinkTransport Transport { get; }

    public ConcurrentQueue<ulong> Undeliverable { get; } = new();

    public byte[][] Received(LinkLane lane) => [.. _received[(int)lane]];

    private void Receive(LinkLane lane, ReadOnlyMemory<byte> message)
    {
        if (message.Length == ProbeSize) _probed |= 1 << (int)lane;
        else _received[(int)lane].Enqueue(message.ToArray());
    }

    public Task SendAsync(LinkLane lane, byte[] message, ulong token = 1) => Transport.SendAsync(lane, message, token, CancellationToken.None).AsTask();

    /// <summary>Waits until both lanes to <paramref name="other"/> carry, and forgets what was said of the time before.</summary>
    public async Task UpAsync(LinkEnd other)
    {
        await MeshWait.Until(
            async () =>
            {
                foreach (var lane in (LinkLane[])[LinkLane.Control, LinkLane.Bulk])
                {
                    try
                    {
                        await SendAsync(lane, new byte[ProbeSize], token: 0);
                    }
                    catch (IOException)
                    {
                        return false;
                    }
                }

                return other._probed == 3;
            },
            "both lanes carry");
        Undeliverable.Clear();
    }
}

/// <summary>Awaits conditions.</summary>
internal static class MeshWait
{
    public static async Task Until(Func<Task<bool>> condition, string what)
    {
        var end = DateTime.UtcNow + TimeSpan.FromSeconds(30);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, $"within 30 s: {what}");
            await Task.Delay(10);
        }
    }

    public static Task Until(Func<bool> condition, string what) => Until(() => Task.FromResult(condition()), what);
}

/// <summary>What links rest on, whatever carries their messages.</summary>
public abstract class LinkTransportContract
{
    /// <summary>Makes both ends of a link between Site1 and Site2.</summary>
    private protected abstract (ILinkTransport One, ILinkTransport Two) Connect();

    /// <summary>Takes the end at Site2 away, as when its agent ends.</summary>
    private protected abstract Task RemoveTwoAsync(ILinkTransport two);

    private async Task<(LinkEnd One, LinkEnd Two)> ConnectUpAsync()
    {
        var (one, two) = Connect();
        var ends = (One: new LinkEnd(one), Two: new LinkEnd(two));
        await ends.One.UpAsync(ends.Two);
        await ends.Two.UpAsync(ends.One);
        return ends;
    }

    private static byte[] Numbered(int number, int size = 4)
    {
        var message = new byte[size];
        BitConverter.TryWriteBytes(message, number);
        return message;
    }

    [Fact]
    public async Task Messages_arrive_once_in_order_on_the_lane_they_were_sent_on_both_ways()
    {
        var (one, two) = await ConnectUpAsync();
        const int count = 2000;
        foreach (var (from, to) in (IEnumerable<(LinkEnd, LinkEnd)>)[(one, two), (two, one)])
        {
            for (var i = 0; i < count; i++)
            {
                await from.SendAsync(LinkLane.Control, Numbered(i));
                await from.SendAsync(LinkLane.Bulk, Numbered(count + i));
            }

            await MeshWait.Until(() => to.Received(LinkLane.Control).Length >= count && to.Received(LinkLane.Bulk).Length >= count, "all arrive");
            Assert.Equal(Enumerable.Range(0, count), to.Received(LinkLane.Control).Select(message => BitConverter.ToInt32(message)));
            Assert.Equal(Enumerable.Range(count, count), to.Received(LinkLane.Bulk).Select(message => BitConverter.ToInt32(message)));
        }

        Assert.Empty(one.Undeliverable);
        Assert.Empty(two.Undeliverable);
    }

    [Fact]
    public async Task The_largest_frame_passes_byte_for_byte_and_its_buffer_is_the_senders_again()
    {
        var (one, two) = await ConnectUpAsync();
        var buffer = new byte[Frame.HeaderSize + Bounds.FramePayloadSizeMax];
        var sent = new List<byte[]>();
        for (var round = 0; round < 20; round++)
        {
            new Random(round).NextBytes(buffer);
            buffer[0] = (byte)round;
            sent.Add([.. buffer]);
            await one.SendAsync(LinkLane.Bulk, buffer);
            Array.Clear(buffer);
        }

        await MeshWait.Until(() => two.Received(LinkLane.Bulk).Length >= sent.Count, "all arrive");
        Assert.Equal(sent, two.Received(LinkLane.Bulk));
    }

    [Fact]
    public async Task Many_senders_at_once_lose_nothing()
    {
        var (one, two) = await ConnectUpAsync();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(sender => Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++) await one.SendAsync(LinkLane.Control, Numbered(sender * 200 + i, 700));
        })));
        await MeshWait.Until(() => two.Received(LinkLane.Control).Length >= 3200, "all arrive");
        var numbers = two.Received(LinkLane.Control).Select(message => BitConverter.ToInt32(message)).ToArray();
        Assert.Equal(Enumerable.Range(0, 3200), numbers.Order());
        Assert.All(numbers.GroupBy(number => number / 200), ofOne => Assert.Equal(ofOne.Order(), ofOne));
    }

    [Fact]
    public async Task What_reaches_nobody_is_told_by_its_token_unless_that_is_nought()
    {
        var (one, two) = await ConnectUpAsync();
        await RemoveTwoAsync(two.Transport);
        await MeshWait.Until(
            async () =>
            {
                await one.SendAsync(LinkLane.Control, Numbered(1), token: 7);
                return !one.Undeliverable.IsEmpty;
            },
            "it is told that nobody is there");
        Assert.All(one.Undeliverable, token => Assert.Equal(7UL, token));
        one.Undeliverable.Clear();
        await one.SendAsync(LinkLane.Control, Numbered(2), token: 0);
        await one.SendAsync(LinkLane.Control, Numbered(3), token: ulong.MaxValue);
        await MeshWait.Until(() => one.Undeliverable.Contains(ulong.MaxValue), "the other is told");
        Assert.DoesNotContain(0UL, one.Undeliverable);
    }
}

/// <summary>The twin in memory, in real time.</summary>
public sealed class MemoryLinkTransportTests : LinkTransportContract
{
    private readonly MemoryLinks _links = new(TimeProvider.System, new Random(1));

    private protected override (ILinkTransport One, ILinkTransport Two) Connect() => (_links.Connect("Site1", "Site2"), _links.Connect("Site2", "Site1"));

    private protected override Task RemoveTwoAsync(ILinkTransport two)
    {
        _links.Remove("Site2", "Site1");
        return Task.CompletedTask;
    }
}

/// <summary>Two nats-servers that are linked, for all tests of a class.</summary>
public sealed class LinkedServers : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-mesh-").FullName;
    private readonly (int One, int Two) _ports = (NatsMeshTests.FreePort(), NatsMeshTests.FreePort());

    internal NatsServerProcess One { get; private set; } = null!;

    internal NatsServerProcess Two { get; private set; } = null!;

    private NatsServerProcess Make(string site, string peer, int port, int peersPort) => new(
        new MeshOptions
        {
            Site = site,
            Peers = [new MeshPeer(peer, "127.0.0.1", peersPort)],
            Listen = new global::System.Net.IPEndPoint(global::System.Net.IPAddress.Loopback, port),
            Directory = Path.Combine(_directory, site),
        },
        (_, _) => { });

    public async Task InitializeAsync()
    {
        One = Make("Site1", "Site2", _ports.One, _ports.Two);
        Two = Make("Site2", "Site1", _ports.Two, _ports.One);
        await Task.WhenAll(One.StartAsync(), Two.StartAsync());
    }

    public Task DisposeAsync()
    {
        One.Dispose();
        Two.Dispose();
        Directory.Delete(_directory, recursive: true);
        return Task.CompletedTask;
    }
}

/// <summary>Over two real nats-servers.</summary>
public sealed class NatsLinkTransportTests(LinkedServers servers) : LinkTransportContract, IClassFixture<LinkedServers>, IAsyncLifetime
{
    private readonly List<NatsLinkTransport> _transports = [];

    private NatsLinkTransport Make(NatsServerProcess server, string site, string peer)
    {
        var access = server.Access!;
        var transport = new NatsLinkTransport(
            site, peer, sharesBulk: false, bulk => new NatsSignIn($"nats://127.0.0.1:{access.Port}", NatsAccess.User(peer, bulk), access.Password), TimeProvider.System);
        _transports.Add(transport);
        return transport;
    }

    private protected override (ILinkTransport One, ILinkTransport Two) Connect() => (Make(servers.One, "Site1", "Site2"), Make(servers.Two, "Site2", "Site1"));

    private protected override Task RemoveTwoAsync(ILinkTransport two)
    {
        _transports.Remove((NatsLinkTransport)two);
        return ((NatsLinkTransport)two).DisposeAsync().AsTask();
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var transport in _transports) await transport.DisposeAsync();
    }
}
