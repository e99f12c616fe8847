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

    /// <summary>Most connections, those that still shake hands included.</summary>
    public int ConnectionsMax { get; init; } = Bounds.ListenerConnectionsMax;

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
    private readonly ConcurrentDictionary<ReactorSocket, Task> _handshakes = new();
    private readonly Action<string> _warn;
    private Task _accepting = Task.CompletedTask;
    private int _open;
    private bool _isFull;
    private volatile bool _stopping;

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
                if (IsFull()) Refuse(socket);
                else Serve(socket);
            }
            catch (IOException e)
            {
                // No descriptors or no memory: it passes when connections end, and trying at once would only burn the CPU.
                _warn($"{_options.Service}: {e.Message}");
                await Task.Delay(TimeSpan.FromMilliseconds(Bounds.AcceptPauseMs), _context.Time);
            }
        }
    }

    // One line each time that it becomes full: whoever floods it must not flood the log as well.
    private bool IsFull()
    {
        var open = Volatile.Read(ref _open);
        if (open >= _options.ConnectionsMax && !_isFull)
        {
            _isFull = true;
            _warn($"{_options.Service}: {open} connections are open, and all further ones are reset");
        }

        if (open < _options.ConnectionsMax - _options.ConnectionsMax / 16) _isFull = false;
        return open >= _options.ConnectionsMax;
    }

    private void Refuse(Socket socket)
    {
        _context.Counters.ConnectionRefused();
        ReactorSocket.Reset(socket);
    }

    private void Serve(Socket socket)
    {
        Interlocked.Increment(ref _open);
        try
        {
            var service = _options.Meant(socket) ?? _own;
            var transport = new ReactorSocket(socket);
            if (_options.Tls is null) Run(service, new BufferedChannel(transport), "http");
            else ServeTls(service, transport, _options.Tls());
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // Gone before it was taken.
            Interlocked.Decrement(ref _open);
            socket.Dispose();
        }
    }

    private void ServeTls(ListenerService service, ReactorSocket socket, SslServerAuthenticationOptions tls)
    {
        var shaking = ServeTlsAsync(service, socket, tls);
        _handshakes[socket] = shaking;
        _ = ForgetAsync(_handshakes, socket, shaking);

        // Whoever ends the handshakes may have looked before this one was known.
        if (_stopping && !shaking.IsCompleted) socket.Abort();
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
            Interlocked.Decrement(ref _open);
            service.Context.Counters.HandshakeFailed();
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
        var running = ServeAsync(connection);
        if (running.IsCompleted) return;
        _connections[connection] = running;
        _ = ForgetAsync(_connections, connection, running);
    }

    private async Task ServeAsync(ServerConnection connection)
    {
        await connection.RunAsync();
        Interlocked.Decrement(ref _open);
    }

    private static async Task ForgetAsync<T>(ConcurrentDictionary<T, Task> among, T one, Task running)
        where T : notnull
    {
        await running;
        among.TryRemove(one, out _);
    }

    /// <summary>Takes no more connections, and ends those that wait for a request or still shake hands. The context says that it drains.</summary>
    public void StopAccepting()
    {
        EndHandshakes();
        foreach (var connection in _connections.Keys) connection.Drain();
    }

    private void EndHandshakes()
    {
        _stopping = true;
        _acceptor.Dispose();
        foreach (var (socket, shaking) in _handshakes)
        {
            if (!shaking.IsCompleted) socket.Abort();
        }
    }

    /// <summary>Completes when all connections have ended.</summary>
    public async Task DrainedAsync()
    {
        await _accepting;
        await Task.WhenAll(_handshakes.Values);
        await Task.WhenAll(_connections.Values);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        EndHandshakes();
        await _accepting;

        // A handshake that was just done is a connection now.
        await Task.WhenAll(_handshakes.Values);
        foreach (var connection in _connections.Keys) connection.Abort();
        await DrainedAsync();
    }
}
