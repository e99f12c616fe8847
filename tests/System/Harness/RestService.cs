using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Cheops.Tests.System.Harness;

/// <summary>
/// A REST service inside the tests, on sockets without a web framework, so that it can do what services should not:
/// stall, close half-way, reset, flush byte by byte.
/// </summary>
internal sealed class RestService : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly Func<RestCall, Task> _handler;
    private readonly ConcurrentDictionary<Socket, Task> _connections = new();
    private readonly Task _accepting;

    /// <summary>Listens.</summary>
    /// <param name="handler">Answers each call.</param>
    /// <param name="address">Where.</param>
    /// <param name="port">The port; 0 for any that is free.</param>
    /// <param name="newSocket">Makes the listening socket in a network namespace; null for this one.</param>
    public RestService(Func<RestCall, Task> handler, string address = "127.0.0.1", int port = 0, Func<Socket>? newSocket = null)
    {
        _listener = newSocket?.Invoke() ?? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _handler = handler;
        _listener.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        _listener.Listen(1024);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        Address = address;
        _accepting = AcceptAsync();
    }

    public string Address { get; }

    public int Port { get; }

    public string Url => $"http://{Address}:{Port}";

    public int Connections => _connections.Count;

    /// <summary>Closes every connection and stops listening, as a service that crashed.</summary>
    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        foreach (var socket in _connections.Keys) socket.Close(0);

        // A handler that waits for a test that failed does not hold the others back.
        await Task.WhenAny(Task.WhenAll(_connections.Values), Task.Delay(TimeSpan.FromSeconds(5)));
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptAsync();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }

            socket.NoDelay = true;
            _connections[socket] = ServeAsync(socket);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        await Task.Yield();
        try
        {
            await using var stream = new NetworkStream(socket);
            var reader = new WireReader(stream);
            while (await reader.ReadHeadAsync() is { } head)
            {
                var call = new RestCall(socket, stream, reader, head);
                await _handler(call);
                if (!await call.FinishAsync()) return;
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The other end went away, or this service was stopped: what tests of faults want.
        }
        finally
        {
            socket.Dispose();
            _connections.TryRemove(socket, out _);
        }
    }
}
