using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Agent.Interception;

/// <summary>Where a listener stands, and for what.</summary>
/// <param name="Address">Where it listens.</param>
/// <param name="Service">The service in front of which it stands.</param>
public sealed record ListenerOptions(IPEndPoint Address, string Service)
{
    /// <summary>TLS towards clients, asked for at every handshake so that certificates can be replaced; null for plain.</summary>
    public Func<SslServerAuthenticationOptions>? Tls { get; init; }

    /// <summary>
    /// Tells of an accepted connection that was redirected here for which service it was meant; null for the listener's own.
    /// </summary>
    public Func<Socket, ListenerService?> Meant { get; init; } = static _ => null;
}

/// <summary>A service whose connections a listener takes.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Context">What its connections share.</param>
public sealed record ListenerService(string Name, ServerContext Context);

/// <summary>Accepts connections in front of one service and serves each.</summary>
public sealed class Listener : IAsyncDisposable
{
    private readonly ListenerOptions _options;
    private readonly ServerContext _context;
    private readonly ListenerService _own;
    private readonly TcpAcceptor _acceptor;
    private readonly ConcurrentDictionary<ServerConnection, Task> _connections = new();
    private readonly Action<string> _warn;
    private Task _accepting = Task.CompletedTask;

    /// <summary>Binds.</summary>
    /// <param name="options">Where.</param>
    /// <param name="context">What the connections share.</param>
    /// <param name="warn">Told when connections cannot be accepted.</param>
    /// <exception cref="IOException">The address cannot be bound.</exception>
    public Listener(ListenerOptions options, ServerContext context, Action<string> warn)
    {
        _options = options;
        _context = context;
        _own = new ListenerService(options.Service, context);
        _warn = warn;
        _acceptor = TcpAcceptor.Listen(options.Address);
    }

    /// <summary>The address listened on.</summary>
    public IPEndPoint Address => _acceptor.Address;

    /// <summary>The service in front of which it stands.</summary>
    public string Service => _options.Service;

    /// <summary>Begins to accept.</summary>
    public void Start() => _accepting = AcceptAsync();

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var socket = await _acceptor.AcceptAsync();
                if (socket is null) return;
                if (_connections.Count >= Bounds.ListenerConnectionsMax)
                {
                    ReactorSocket.Reset(socket);
                    continue;
                }

                Serve(socket);
            }
            catch (IOException e)
            {
                // No descriptors or no memory: it passes when connections end, and trying at once would only burn the CPU.
                _warn($"{_options.Service}: {e.Message}");
                await Task.Delay(TimeSpan.FromMilliseconds(Bounds.AcceptPauseMs), _context.Time);
            }
        }
    }

    private void Serve(Socket socket)
    {
        try
        {
            var service = _options.Meant(socket) ?? _own;
            var transport = new ReactorSocket(socket);
            if (_options.Tls is null) Run(service, new BufferedChannel(transport), "http");
            else _ = ServeTlsAsync(service, transport, _options.Tls());
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // Gone before it was taken.
            socket.Dispose();
        }
    }

    private async Task ServeTlsAsync(ListenerService service, ReactorSocket socket, SslServerAuthenticationOptions tls)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.HandshakeTimeMaxMs), _context.Time);
        try
        {
            var transport = await TlsTransport.ServeAsync(socket, tls, limit.Token);
            Run(service, new BufferedChannel(transport), "https");
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // A client that cannot shake hands is told by TLS itself.
            socket.Dispose();
        }
    }

    private void Run(ListenerService service, BufferedChannel channel, string scheme)
    {
        var client = channel.RemoteEndPoint as IPEndPoint;
        var address = client?.Address is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : client?.Address;
        var origin = new ExchangeOrigin
        {
            Service = service.Name,
            Scheme = scheme,
            ClientAddress = address?.ToString() ?? "",
            ClientPort = client?.Port ?? 0,
            CertificateUser = channel.PeerUser,
        };
        var connection = new ServerConnection(channel, origin, service.Context);
        var running = connection.RunAsync();
        if (running.IsCompleted) return;
        _connections[connection] = running;
        _ = ForgetAsync(connection, running);
    }

    private async Task ForgetAsync(ServerConnection connection, Task running)
    {
        await running;
        _connections.TryRemove(connection, out _);
    }

    /// <summary>Takes no more connections, and ends those that wait for a request. The context says that it drains.</summary>
    public void StopAccepting()
    {
        _acceptor.Dispose();
        foreach (var connection in _connections.Keys) connection.Drain();
    }

    /// <summary>Completes when all connections have ended.</summary>
    public async Task DrainedAsync()
    {
        await _accepting;
        await Task.WhenAll(_connections.Values);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _acceptor.Dispose();
        foreach (var connection in _connections.Keys) connection.Abort();
        await DrainedAsync();
    }
}
