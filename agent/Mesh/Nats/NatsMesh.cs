using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace Cheops.Agent.Mesh.Nats;

/// <summary>The mesh over NATS leaf nodes: the supervised server, the links over it, and the node on top.</summary>
public sealed class NatsMesh : IAsyncDisposable
{
    // NATS' own, of a URL that names none.
    private const int DefaultPort = 4222;

    private readonly ConcurrentDictionary<string, NatsLinkTransport> _transports = new();
    private readonly TimeProvider _time;
    private readonly Action<string, bool> _log;
    private volatile MeshOptions _options;
    private volatile NatsServerProcess? _server;
    private bool _started;

    /// <summary>Prepares the mesh; without peers there is nothing to start.</summary>
    /// <param name="options">What it is told to be.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Takes lines for the log; the flag says that a person should read it.</param>
    public NatsMesh(MeshOptions options, TimeProvider time, Action<string, bool> log)
    {
        options = WithBulk(options);
        _options = options;
        _time = time;
        _log = log;
        if (options.Peers.Length > 0 && options.NatsUrl is null) _server = new NatsServerProcess(options, log);
        Node = new MeshNode(options, MakeTransport, NewSession, Random.Shared, time, message => log(message, true));
    }

    /// <summary>The node: what the rest of the agent sees.</summary>
    public MeshNode Node { get; }

    /// <summary>How often nats-server was started.</summary>
    public int ServerStarts => _server?.Starts ?? 0;

    /// <summary>The process number of nats-server; null when it does not run.</summary>
    public int? ServerProcessId => _server?.ProcessId;

    private static MeshOptions WithBulk(MeshOptions options) =>
        options with { SharesBulk = options.Tls is { } tls && !File.Exists(MeshTls.BulkPath(tls.Certificate)) };

    private NatsLinkTransport MakeTransport(string peer) =>
        _transports[peer] = new NatsLinkTransport(_options.Site, peer, SharesBulk(peer), bulk => SignIn(peer, bulk), _time);

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
        return new NatsSignIn($"{url.Scheme}://{url.Host}:{PortOf(url)}", NatsAccess.User(peer, bulk), PasswordOf(url));
    }

    private static int PortOf(Uri url) => url.Port < 0 ? DefaultPort : url.Port;

    private static string PasswordOf(Uri url) =>
        url.UserInfo.Contains(':', StringComparison.Ordinal) ? Uri.UnescapeDataString(url.UserInfo.Split(':', 2)[1]) : "";

    // Drawn from the kernel: the cryptographic library would be loaded for this alone, 4 MB at a site without a mesh.
    private static uint NewSession() => BitConverter.ToUInt32(Guid.NewGuid().ToByteArray()) | 1;

    /// <summary>Starts the server, if there is one to start, and the links.</summary>
    /// <exception cref="IOException">The server cannot be started, or the options would open the mesh to strangers.</exception>
    public async Task StartAsync()
    {
        if (_options.Peers.Length == 0) return;
        if (_server is { } server) await StartServerAsync(server, _options);
        StartNode();
    }

    private async Task StartServerAsync(NatsServerProcess server, MeshOptions options)
    {
        if (NatsConfiguration.Mistake(options) is { } mistake) throw new IOException(mistake);
        if (options.SharesBulk) _log($"no {MeshTls.BulkPath(options.Tls!.Certificate)}: bulk and control share each link", false);
        await server.StartAsync();
    }

    private void StartNode()
    {
        if (!_started) Node.Start();
        _started = true;
    }

    /// <summary>
    /// Takes over other peers, and certificates that were replaced in place. Links that stay are interrupted only when the
    /// server must be started again: for a site that this one dials, and for one that goes. One call at a time, after the start.
    /// </summary>
    /// <param name="peers">All peers.</param>
    /// <exception cref="IOException">The server refuses its new configuration, or it would open the mesh to strangers; all stays as it was.</exception>
    public async Task ReloadAsync(ImmutableArray<MeshPeer> peers)
    {
        var before = _options;
        var after = before with { Peers = peers };
        if (peers.ToHashSet().SetEquals(before.Peers))
        {
            _server?.Reload();
            return;
        }

        if (after.NatsUrl is null) await ReconfigureAsync(after);
        _options = after;
        StartNode();

        // One that is dialed now and was not, or was and is not, has other links: it leaves and joins again.
        await SetPeersAsync(peers.Where(peer => !before.Peers.Any(one => one.Site == peer.Site && NatsConfiguration.Dials(before, one) != NatsConfiguration.Dials(after, peer))));
        await SetPeersAsync(peers);
    }

    private async Task SetPeersAsync(IEnumerable<MeshPeer> peers)
    {
        var names = peers.Select(peer => peer.Site).ToHashSet();
        Node.SetPeers(names);
        foreach (var peer in _transports.Keys.Where(peer => !names.Contains(peer)))
        {
            if (_transports.TryRemove(peer, out var transport)) await transport.DisposeAsync();
        }
    }

    private async Task ReconfigureAsync(MeshOptions options)
    {
        if (NatsConfiguration.Mistake(options) is { } mistake) throw new IOException(mistake);
        if (options.Peers.IsEmpty)
        {
            _server?.Dispose();
            _server = null;
        }
        else if (_server is { } running)
        {
            running.Reconfigure(options);
        }
        else
        {
            var server = new NatsServerProcess(options, _log);
            _server = server;
            await StartServerAsync(server, options);
        }
    }

    /// <summary>The configuration that the operator's own server (CHEOPS_NATS_URL) needs for this site's mesh.</summary>
    /// <param name="options">What the mesh is told to be.</param>
    /// <param name="text">The configuration; or, when there can be none, why.</param>
    public static bool TryConfigure(MeshOptions options, out string text)
    {
        const string Wanted = "give the address at which your server is to listen for the agent, and a password: CHEOPS_NATS_URL=nats://cheops:PASSWORD@127.0.0.1:4222";
        text = options switch
        {
            { Peers.IsEmpty: true } => "CHEOPS_PEERS names no other site: no NATS server is needed",
            { NatsUrl: null } => $"CHEOPS_NATS_URL is not set; {Wanted}",
            { NatsUrl.Scheme: not "nats" } => "the configuration has no TLS between agent and server: write it for a nats:// URL, and add a tls block to it",
            _ when PasswordOf(options.NatsUrl).Length == 0 => $"CHEOPS_NATS_URL has no password; {Wanted}",
            _ => NatsConfiguration.Mistake(options) ?? "",
        };
        if (text.Length > 0) return false;
        var access = new NatsAccess(PortOf(options.NatsUrl!), PasswordOf(options.NatsUrl!)) { Host = options.NatsUrl!.Host };
        text = NatsConfiguration.Generate(WithBulk(options), access, "Written by cheops mesh config, for the server that CHEOPS_NATS_URL names.");
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Node.Dispose();
        foreach (var transport in _transports.Values) await transport.DisposeAsync();
        _server?.Dispose();
    }
}
