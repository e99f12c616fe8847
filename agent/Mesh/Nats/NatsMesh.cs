using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>The mesh over NATS leaf nodes: the supervised server, the links over it, and the node on top.</summary>
public sealed class NatsMesh : IAsyncDisposable
{
    private readonly MeshOptions _options;
    private readonly NatsServerProcess? _server;
    private readonly ConcurrentBag<NatsLinkTransport> _transports = [];
    private readonly TimeProvider _time;

    /// <summary>Prepares the mesh; without peers there is nothing to start.</summary>
    /// <param name="options">What it is told to be.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Takes lines for the log; the flag says that a person should read it.</param>
    public NatsMesh(MeshOptions options, TimeProvider time, Action<string, bool> log)
    {
        _options = options;
        _time = time;
        if (options.Peers.Length > 0 && options.NatsUrl is null) _server = new NatsServerProcess(options, log);
        Node = new MeshNode(options, MakeTransport, NewSession, time, message => log(message, true));
    }

    /// <summary>The node: what the rest of the agent sees.</summary>
    public MeshNode Node { get; }

    /// <summary>How often nats-server was started.</summary>
    public int ServerStarts => _server?.Starts ?? 0;

    private NatsLinkTransport MakeTransport(string peer)
    {
        var transport = new NatsLinkTransport(_options.Site, peer, bulk => SignIn(peer, bulk), _time);
        _transports.Add(transport);
        return transport;
    }

    private NatsSignIn SignIn(string peer, bool bulk) =>
        _server?.Access is { } access
            ? new NatsSignIn($"nats://127.0.0.1:{access.Port}", NatsAccess.User(peer, bulk), access.Password)
            : OperatorsSignIn(peer, bulk);

    // An operator's server has the same accounts; its users are named as ours, with the password of the URL.
    private NatsSignIn OperatorsSignIn(string peer, bool bulk)
    {
        var url = _options.NatsUrl ?? throw new InvalidOperationException("the server has not been started");
        var password = url.UserInfo.Contains(':', StringComparison.Ordinal) ? url.UserInfo.Split(':', 2)[1] : "";
        return new NatsSignIn($"{url.Scheme}://{url.Host}:{url.Port}", NatsAccess.User(peer, bulk), Uri.UnescapeDataString(password));
    }

    private static uint NewSession() => BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)) | 1;

    /// <summary>Starts the server, if there is one to start, and the links.</summary>
    /// <exception cref="IOException">The server cannot be started.</exception>
    public async Task StartAsync()
    {
        if (_server is not null) await _server.StartAsync();
        Node.Start();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Node.Dispose();
        foreach (var transport in _transports) await transport.DisposeAsync();
        _server?.Dispose();
    }
}
