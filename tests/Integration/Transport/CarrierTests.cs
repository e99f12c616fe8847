using System.Net;
using System.Net.Sockets;
using Cheops.Agent.Transport;
using Cheops.Tests.Integration.Support;

namespace Cheops.Tests.Integration.Transport;

/// <summary>Channels in memory.</summary>
public sealed class MemoryChannelTests : ChannelContract
{
    protected override int HeldSizeMax => 256 * 1024;

    protected override Task<(Channel Left, Channel Right)> ConnectAsync() => Task.FromResult(MemoryTransport.Pair());
}

/// <summary>Channels in memory whose carrier takes next to nothing at a time.</summary>
public sealed class NarrowMemoryChannelTests : ChannelContract
{
    protected override int HeldSizeMax => 256 * 1024;

    protected override Task<(Channel Left, Channel Right)> ConnectAsync() => Task.FromResult(MemoryTransport.Pair(capacity: 509));
}

/// <summary>Channels over TCP.</summary>
public sealed class SocketChannelTests : ChannelContract
{
    protected override async Task<(Channel Left, Channel Right)> ConnectAsync()
    {
        var (left, right) = await SocketPair.ConnectAsync();
        return (new BufferedChannel(left), new BufferedChannel(right));
    }
}

/// <summary>Channels over TLS over TCP.</summary>
public sealed class TlsChannelTests(TestAuthority authority) : ChannelContract, IClassFixture<TestAuthority>
{
    protected override async Task<(Channel Left, Channel Right)> ConnectAsync()
    {
        var (left, right) = await SocketPair.ConnectAsync();
        return await TlsPair.OverAsync(left, right, authority);
    }
}

/// <summary>Channels over TLS over memory: what TLS itself promises, with nothing of the system below.</summary>
public sealed class TlsOverMemoryChannelTests(TestAuthority authority) : ChannelContract, IClassFixture<TestAuthority>
{
    protected override int HeldSizeMax => 512 * 1024;

    protected override async Task<(Channel Left, Channel Right)> ConnectAsync()
    {
        var (left, right) = MemoryTransport.TransportPair();
        return await TlsPair.OverAsync(left, right, authority);
    }
}

/// <summary>Two ends of one TLS session.</summary>
internal static class TlsPair
{
    public static async Task<(Channel Left, Channel Right)> OverAsync(ByteTransport left, ByteTransport right, TestAuthority authority)
    {
        var serving = TlsTransport.ServeAsync(right, TlsOptions.ForServer(authority.ServerIdentity, authority.Certificates), default);
        var dialing = TlsTransport.DialAsync(left, TlsOptions.ForClient("localhost", authority.Certificates, own: null), default);
        return (new BufferedChannel(await dialing), new BufferedChannel(await serving));
    }
}

/// <summary>Two ends of one TCP connection over loopback.</summary>
internal static class SocketPair
{
    public static async Task<(ReactorSocket Left, ReactorSocket Right)> ConnectAsync()
    {
        using var acceptor = TcpAcceptor.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        var accepting = acceptor.AcceptAsync();
        var left = await TcpDialer.ConnectAsync("127.0.0.1", acceptor.Address.Port, CancellationToken.None);
        return (left, new ReactorSocket(await accepting ?? throw new InvalidOperationException("the acceptor was closed")));
    }

    /// <summary>The dialing end as the framework has it.</summary>
    public static async Task<(Socket Left, ReactorSocket Right)> HalfRawAsync()
    {
        var (left, right) = await RawAsync();
        return (left, new ReactorSocket(right));
    }

    public static async Task<(Socket Left, Socket Right)> RawAsync()
    {
        using var acceptor = TcpAcceptor.Listen(new IPEndPoint(IPAddress.Loopback, 0));
        var accepting = acceptor.AcceptAsync();
        var left = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await left.ConnectAsync(acceptor.Address);
        return (left, await accepting ?? throw new InvalidOperationException("the acceptor was closed"));
    }
}
