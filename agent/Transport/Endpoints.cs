using System.Net;
using System.Net.Sockets;

namespace Cheops.Agent.Transport;

/// <summary>Dials TCP.</summary>
internal static class TcpDialer
{
    /// <summary>Connects to the first address of <paramref name="host"/> that answers.</summary>
    /// <exception cref="IOException">None did.</exception>
    /// <exception cref="OperationCanceledException">The time was up.</exception>
    public static async ValueTask<ReactorSocket> ConnectAsync(string host, int port, CancellationToken cancellation)
    {
        SocketError last;
        try
        {
            IPAddress[] addresses = IPAddress.TryParse(host, out var given) ? [given] : await Dns.GetHostAddressesAsync(host, cancellation);
            last = SocketError.HostNotFound;
            foreach (var address in addresses)
            {
                try
                {
                    return await ReactorSocket.DialAsync(new IPEndPoint(address, port), cancellation);
                }
                catch (SocketException e)
                {
                    last = e.SocketErrorCode;
                }
            }
        }
        catch (SocketException e)
        {
            last = e.SocketErrorCode;
        }

        throw new IOException($"{host}:{port} was not reached: {Describe(last)}");
    }

    private static string Describe(SocketError error) => error switch
    {
        SocketError.ConnectionRefused => "the connection was refused (nothing listens there)",
        SocketError.HostNotFound or SocketError.NoData => "the name is not known",
        SocketError.HostUnreachable or SocketError.NetworkUnreachable => "there is no route to it",
        SocketError.TimedOut => "it did not answer",
        _ => error.ToString(),
    };
}

/// <summary>Accepts TCP connections.</summary>
internal sealed class TcpAcceptor : IDisposable
{
    private readonly Socket _socket;

    private TcpAcceptor(Socket socket)
    {
        _socket = socket;
        Address = (IPEndPoint)socket.LocalEndPoint!;
    }

    /// <summary>The address that is listened on, with the port that was given or chosen; known after the end, too.</summary>
    public IPEndPoint Address { get; }

    /// <summary>Binds and listens.</summary>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public static TcpAcceptor Listen(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // Bind sets SO_REUSEADDR by itself, so a restart does not wait for the connections of the process before.
            // ReuseAddress would set SO_REUSEPORT too: two processes would share the address, and neither would know.
            socket.Bind(address);
            socket.Listen(Proto.Bounds.ListenBacklog);
            return new TcpAcceptor(socket);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"{address} cannot be listened on: {e.Message}", e);
        }
    }

    /// <summary>Takes the next connection; null when the acceptor was disposed of.</summary>
    /// <exception cref="IOException">A connection could not be taken; a later call may succeed.</exception>
    public async ValueTask<Socket?> AcceptAsync()
    {
        try
        {
            return await _socket.AcceptAsync();
        }
        catch (Exception e) when (e is ObjectDisposedException || e is SocketException { SocketErrorCode: SocketError.OperationAborted })
        {
            return null;
        }
        catch (SocketException e)
        {
            throw new IOException($"a connection could not be accepted: {e.SocketErrorCode}", e);
        }
    }

    public void Dispose() => _socket.Dispose();
}
