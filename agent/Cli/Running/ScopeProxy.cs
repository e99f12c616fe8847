using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Cheops.Proto;

namespace Cheops.Agent.Cli.Running;

/// <summary>
/// A forward proxy on loopback that adds a scope to the plain requests which pass. It serves one command, so it is made
/// simple rather than fast: one request on each connection. Tunnels (CONNECT) pass untouched.
/// </summary>
internal sealed class ScopeProxy : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _ending = new();
    private readonly ConcurrentDictionary<Task, bool> _connections = new();
    private readonly string _scope;
    private readonly Action<string> _note;
    private readonly TimeProvider _time;
    private Task _accepting = Task.CompletedTask;
    private int _tunnelNoted;

    /// <summary>A proxy, not yet listening.</summary>
    /// <param name="scope">The scope.</param>
    /// <param name="note">Told what the user should know.</param>
    /// <param name="time">The clock.</param>
    public ScopeProxy(string scope, Action<string> note, TimeProvider time) => (_scope, _note, _time) = (scope, note, time);

    /// <summary>Where it listens, once started.</summary>
    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndPoint!;

    /// <summary>Begins to listen, at a port that is free.</summary>
    public void Start()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        _accepting = AcceptAsync();
    }

    private async Task AcceptAsync()
    {
        while (!_ending.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptAsync(_ending.Token);
                if (_connections.Count >= Bounds.RunProxyConnectionsMax)
                {
                    client.Dispose();
                    continue;
                }

                var serving = ServeAsync(client);
                _connections[serving] = true;
                _ = serving.ContinueWith(done => _connections.TryRemove(done, out _), TaskScheduler.Default);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The end, or a client that went before it was taken.
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var _ = client;
        client.NoDelay = true;
        try
        {
            await new ProxyExchange(client, _scope, NoteTunnel, _time).RunAsync(_ending.Token);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One of the two went away: closing tells the other.
        }
    }

    private void NoteTunnel(string host)
    {
        if (Interlocked.Exchange(ref _tunnelNoted, 1) == 0)
            _note($"requests to https://{host} (and other https addresses) pass without the scope: nobody can add a header inside TLS. Use the agent's http listener, or a path prefix /@SCOPE");
    }

    /// <summary>Ends all connections.</summary>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections.Keys);
        _ending.Dispose();
    }
}
