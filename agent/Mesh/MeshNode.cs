using System.Collections.Immutable;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh;

/// <summary>Takes a message that another site's agent sent to a channel here.</summary>
/// <param name="site">The site it came from, proven by the link.</param>
/// <param name="channel">The channel.</param>
/// <param name="message">Its bytes, valid during the call only.</param>
public delegate void MeshMessageHandler(string site, ulong channel, ReadOnlySpan<byte> message);

/// <summary>This site's end of all its links.</summary>
public sealed class MeshNode : IMesh, ILinkOwner, IDisposable
{
    private readonly MeshOptions _options;
    private readonly TimeProvider _time;
    private readonly Action<string> _warn;
    private readonly Func<string, ILinkTransport> _transport;
    private readonly Func<uint> _newSession;
    private readonly Random _chance;
    private readonly WindowBudget _budget = new();
    private readonly Lock _gate = new();
    private volatile ImmutableSortedDictionary<string, PeerLink> _links;
    private ITimer? _timer;
    private ImmutableDictionary<string, string> _services;
    private ImmutableArray<SiteStatus> _sites;
    private volatile bool _draining;
    private volatile SiteData _data;
    private Func<InboundStream, Task>? _handler;

    /// <summary>Makes a node with a link to each peer.</summary>
    /// <param name="options">What it is told to be.</param>
    /// <param name="transport">Makes the transport to a peer.</param>
    /// <param name="newSession">Draws the number of a session of this process with a peer; never 0, and never one drawn before.</param>
    /// <param name="chance">Decides when heartbeats go.</param>
    /// <param name="time">The clock.</param>
    /// <param name="warn">Told what a person should know of.</param>
    public MeshNode(
        MeshOptions options, Func<string, ILinkTransport> transport, Func<uint> newSession, Random chance, TimeProvider time, Action<string> warn)
    {
        _options = options;
        _transport = transport;
        _newSession = newSession;
        _chance = chance;
        _time = time;
        _warn = warn;
        _services = options.Services;
        _data = new SiteData(options.Incarnation, "");
        _links = options.Peers.ToImmutableSortedDictionary(peer => peer.Site, peer => Connect(peer.Site), StringComparer.Ordinal);
        _sites = Snapshot();
    }

    private sealed record SiteData(string Incarnation, string SealingKey);

    private sealed record PeerLink(LinkSession Session, BeatSchedule Beats);

    private PeerLink Connect(string peer) =>
        new(new LinkSession(_options.Site, peer, _newSession(), _transport(peer), this, _budget, _time), new BeatSchedule(_chance));

    /// <inheritdoc/>
    public ImmutableArray<SiteStatus> Sites
    {
        get
        {
            lock (_gate) return _sites;
        }
    }

    /// <summary>
    /// The same, made anew: <see cref="SiteStatus.HeardAt"/> by the time of day as it is now. In <see cref="Sites"/> it is as it was when
    /// something was heard last: after a jump of the time of day, ages counted from there would be wrong.
    /// </summary>
    public ImmutableArray<SiteStatus> SitesNow => Snapshot();

    /// <inheritdoc/>
    public Func<InboundStream, Task> StreamHandler
    {
        set => _handler = value;
    }

    /// <summary>What each link carries now, for metrics.</summary>
    public IEnumerable<(string Site, int Streams, long BulkSent, long BulkReceived, long BulkWindow)> Traffic =>
        Sessions.Select(link => (link.Peer, link.StreamCount, link.Bulk.Sent, link.Bulk.Received, link.Bulk.Window));

    /// <summary>Bytes received from other sites that wait to be read, for metrics; never past <see cref="Bounds.LinkReceivedHeldMax"/>.</summary>
    public long ReceivedHeld => _budget.Held;

    private IEnumerable<LinkSession> Sessions => _links.Values.Select(link => link.Session);

    bool ILinkOwner.IsDraining => _draining;

    HeartbeatStatus ILinkOwner.Status => new()
    {
        Draining = _draining,
        AgentVersion = _options.AgentVersion,
        Incarnation = _data.Incarnation,
        SealingKey = _data.SealingKey,
        HoldsReplicants = HoldsReplicants(),
        Services = _services,
        RoundTrips = Sites
            .Where(site => !site.IsSelf && site.RoundTrip is not null)
            .ToImmutableDictionary(site => site.Name, site => (long)site.RoundTrip!.Value.TotalMicroseconds),
    };

    /// <summary>Tells others of this site's durable data from now on. Before the first peer is heard.</summary>
    /// <param name="incarnation">Their name.</param>
    /// <param name="sealingKey">The public key for which credentials are sealed to this site.</param>
    public void SetData(string incarnation, string sealingKey)
    {
        _data = new SiteData(incarnation, sealingKey);
        Publish();
    }

    /// <summary>Tells, for each heartbeat, whether this site holds replicas.</summary>
    public Func<bool> HoldsReplicants { get; set; } = static () => false;

    /// <summary>Begins to receive and to send heartbeats.</summary>
    public void Start()
    {
        foreach (var link in Sessions) link.Start();
        var period = TimeSpan.FromMilliseconds(Bounds.LinkTickMs);
        _timer = _time.CreateTimer(static state => ((MeshNode)state!).Tick(), this, period, period);
    }

    /// <summary>Takes over other peers: links to new ones begin, those to the ones that are missing end. After the start; not at once by several.</summary>
    /// <param name="peers">The names of all peers.</param>
    public void SetPeers(IReadOnlyCollection<string> peers)
    {
        var gone = _links.Where(link => !peers.Contains(link.Key)).ToArray();
        var added = peers.Where(peer => !_links.ContainsKey(peer)).Select(peer => KeyValuePair.Create(peer, Connect(peer))).ToArray();
        _links = _links.RemoveRange(gone.Select(link => link.Key)).AddRange(added);
        foreach (var link in gone) link.Value.Session.End();
        foreach (var link in added) link.Value.Session.Start();
        Publish();
    }

    /// <summary>Tells the other sites that this one takes no new requests.</summary>
    public void Drain()
    {
        _draining = true;
        Beat();
    }

    /// <summary>Changes the versions that this site's services are known to have.</summary>
    public void SetServices(ImmutableDictionary<string, string> services)
    {
        _services = services;
        Publish();
        Beat();
    }

    private void Tick()
    {
        foreach (var (session, beats) in _links.Values)
        {
            session.Tick();
            if (beats.Tick()) session.Beat();
        }
    }

    private void Beat()
    {
        foreach (var link in Sessions) link.Beat();
    }

    /// <inheritdoc/>
    public Channel OpenStream(string site, StreamOpening opening)
    {
        return LinkTo(site).OpenStream(new StreamHead
        {
            Service = opening.Service,
            WorkflowId = opening.Workflow?.Id ?? "",
            Scope = opening.Workflow?.Scope ?? "",
            User = opening.User?.Name ?? "",
            Groups = opening.User?.Groups ?? [],
            ClientAddress = opening.ClientAddress,
            Scheme = opening.Scheme,
            Replicate = opening.Replicate,
        });
    }

    void ILinkOwner.OnStream(LinkSession link, StreamHead head, Channel channel)
    {
        if (_handler is null)
        {
            channel.Abort();
            return;
        }

        var opening = new StreamOpening
        {
            Service = head.Service,
            Workflow = head.Scope.Length > 0 ? new WorkflowOrigin(head.WorkflowId, head.Scope) : null,
            User = head.User.Length > 0 ? new UserIdentity(head.User, head.Groups) : null,
            ClientAddress = head.ClientAddress,
            Scheme = head.Scheme,
            Replicate = head.Replicate,
        };
        _ = _handler(new InboundStream(link.Peer, opening, channel));
    }

    /// <summary>Told the name of a site of which something was heard or noticed. Set before the start.</summary>
    public Action<string>? SiteChanged { get; set; }

    /// <summary>Takes messages: the site that sent it (proven), the channel, the bytes, valid during the call only. Set before the start.</summary>
    public MeshMessageHandler? MessageHandler { get; set; }

    /// <summary>Sends one message to a channel of another site's agent (Raft). It may be lost; it is never late or doubled.</summary>
    /// <param name="site">The site.</param>
    /// <param name="channel">Whom it is for there.</param>
    /// <param name="message">At most <see cref="Bounds.FramePayloadSizeMax"/> bytes.</param>
    /// <param name="timeToLive">After which it is not delivered any more.</param>
    /// <exception cref="IOException">It was not sent; a <see cref="LinkException"/> says that the site is not up.</exception>
    public ValueTask SendMessageAsync(string site, ulong channel, ReadOnlyMemory<byte> message, TimeSpan timeToLive) =>
        LinkTo(site).SendMessageAsync(channel, message, (uint)Math.Clamp(timeToLive.TotalMilliseconds, 1, uint.MaxValue));

    private LinkSession LinkTo(string site) =>
        _links.TryGetValue(site, out var link) ? link.Session : throw new LinkException(site, LinkError.UnknownSite, $"no site {site} is configured");

    void ILinkOwner.OnMessage(LinkSession link, ulong channel, ReadOnlySpan<byte> message) => MessageHandler?.Invoke(link.Peer, channel, message);

    void ILinkOwner.OnChanged(LinkSession link)
    {
        Publish();
        SiteChanged?.Invoke(link.Peer);
    }

    void ILinkOwner.Warn(string message) => _warn(message);

    private void Publish()
    {
        lock (_gate) _sites = Snapshot();
    }

    private ImmutableArray<SiteStatus> Snapshot() =>
    [
        new SiteStatus
        {
            Name = _options.Site,
            IsSelf = true,
            State = _draining ? SiteState.Draining : SiteState.Up,
            HeardAt = _time.GetUtcNow(),
            RoundTrip = TimeSpan.Zero,
            RoundTripAt = _time.GetUtcNow(),
            Services = _services,
            AgentVersion = _options.AgentVersion,
            Incarnation = _data.Incarnation,
            SealingKey = _data.SealingKey,
        },
        .. Sessions.OrderBy(link => link.Peer, StringComparer.Ordinal).Select(link => link.Status),
    ];

    /// <summary>Stops the heartbeats.</summary>
    public void Dispose() => _timer?.Dispose();
}
