using System.Collections.Concurrent;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>The mesh over NATS leaf nodes: the supervised server, the links over it, and the node on top.</summary>
public sealed class NatsMesh : IAsyncDisposable
{
    private readonly MeshOptions _options;
    private readonly NatsServerProcess? _server;
    private readonly ConcurrentBag<NatsLinkTransport> _transports = [];
    private readonly TimeProvider _time;
    private readonly Action<string, bool> _log;

    /// <summary>Prepares the mesh; without peers there is nothing to start.</summary>
    /// <param name="options">What it is told to be.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Takes lines for the log; the flag says that a person should read it.</param>
    public NatsMesh(MeshOptions options, TimeProvider time, Action<string, bool> log)
    {
        options = options with { SharesBulk = options.Tls is { } tls && !File.Exists(NatsNames.BulkPath(tls.Certificate)) };
        _options = options;
        _time = time;
        _log = log;
        if (options.Peers.Length > 0 && options.NatsUrl is null) _server = new NatsServerProcess(options, log);
        Node = new MeshNode(options, MakeTransport, NewSession, time, message => log(message, true));
    }

    /// <summary>The node: what the rest of the agent sees.</summary>
    public MeshNode Node { get; }

    /// <summary>How often nats-server was started.</summary>
    public int ServerStarts => _server?.Starts ?? 0;

    /// <summary>The process number of nats-server; null when it does not run.</summary>
    public int? ServerProcessId => _server?.ProcessId;

    private NatsLinkTransport MakeTransport(string peer)
    {
        var transport = new NatsLinkTransport(_options.Site, peer, SharesBulk(peer), bulk => SignIn(peer, bulk), _time);
        _transports.Add(transport);
        return transport;
    }

    private bool SharesBulk(string peer) =>
        _options.SharesBulk && NatsConfiguration.Dials(_options, _options.Peers.First(candidate => candidate.Site == peer));

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

    // Drawn from the kernel: the cryptographic library would be loaded for this alone, 4 MB at a site without a mesh.
    private static uint NewSession() => BitConverter.ToUInt32(Guid.NewGuid().ToByteArray()) | 1;

    /// <summary>Starts the server, if there is one to start, and the links.</summary>
    /// <exception cref="IOException">The server cannot be started, or the options would open the mesh to strangers.</exception>
    public async Task StartAsync()
    {
        if (_options.Peers.Length == 0) return;
        if (_server is not null)
        {
            if (NatsConfiguration.Mistake(_options) is { } mistake) throw new IOException(mistake);
            if (_options.SharesBulk) _log($"no {NatsNames.BulkPath(_options.Tls!.Certificate)}: bulk and control share each link", false);
            await _server.StartAsync();
        }

        Node.Start();
    }

    /// <summary>Makes nats-server read certificates again that were replaced in place; links stay up.</summary>
    public void Reload() => _server?.Reload();

    /// <summary>The configuration that an operator's own server needs for this site's mesh (CHEOPS_NATS_URL).</summary>
    /// <param name="options">What the mesh is told to be.</param>
    /// <param name="port">The port for the agent on loopback.</param>
    /// <param name="password">The password of the agent's users, which goes into CHEOPS_NATS_URL.</param>
    public static string ConfigurationFor(MeshOptions options, int port, string password) =>
        NatsConfiguration.Generate(options, new NatsAccess(port, password));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Node.Dispose();
        foreach (var transport in _transports) await transport.DisposeAsync();
        _server?.Dispose();
    }
}
