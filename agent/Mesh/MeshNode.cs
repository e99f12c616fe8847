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
    private readonly ImmutableDictionary<string, LinkSession> _links;
    private readonly WindowBudget _budget = new();
    private readonly Lock _gate = new();
    private ITimer? _timer;
    private ImmutableDictionary<string, string> _services;
    private ImmutableArray<SiteStatus> _sites;
    private int _ticks;
    private volatile bool _draining;
    private Func<InboundStream, Task>? _handler;

    /// <summary>Makes a node with a link to each peer.</summary>
    /// <param name="options">What it is told to be.</param>
    /// <param name="transport">Makes the transport to a peer.</param>
    /// <param name="newSession">Draws the number of this process' session; never 0.</param>
    /// <param name="time">The clock.</param>
    /// <param name="warn">Told what a person should know of.</param>
    public MeshNode(
        MeshOptions options, Func<string, ILinkTransport> transport, Func<uint> newSession, TimeProvider time, Action<string> warn)
    {
        _options = options;
        _time = time;
        _warn = warn;
        _services = options.Services;
        var session = newSession();
        _links = options.Peers.ToImmutableDictionary(
            peer => peer.Site,
            peer => new LinkSession(options.Site, peer.Site, session, transport(peer.Site), this, _budget, time));
        _sites = Snapshot();
    }

    /// <inheritdoc/>
    public ImmutableArray<SiteStatus> Sites
    {
        get
        {
            lock (_gate) return _sites;
        }
    }

    /// <inheritdoc/>
    public Func<InboundStream, Task> StreamHandler
    {
        set => _handler = value;
    }

    /// <summary>What each link carries now, for metrics.</summary>
    public IEnumerable<(string Site, int Streams, long BulkSent, long BulkReceived, long BulkWindow)> Traffic =>
        _links.Values.Select(link => (link.Peer, link.StreamCount, link.Bulk.Sent, link.Bulk.Received, link.Bulk.Window));

    /// <summary>Bytes received from other sites that wait to be read, for metrics; never past <see cref="Bounds.LinkReceivedHeldMax"/>.</summary>
    public long ReceivedHeld => _budget.Held;

    bool ILinkOwner.IsDraining => _draining;

    HeartbeatStatus ILinkOwner.Status => new()
    {
        Draining = _draining,
        AgentVersion = _options.AgentVersion,
        Incarnation = _options.Incarnation,
        Services = _services,
        RoundTrips = Sites
            .Where(site => !site.IsSelf && site.RoundTrip is not null)
            .ToImmutableDictionary(site => site.Name, site => (long)site.RoundTrip!.Value.TotalMicroseconds),
    };

    /// <summary>Begins to receive and to send heartbeats.</summary>
    public void Start()
    {
        foreach (var link in _links.Values) link.Start();
        var period = TimeSpan.FromMilliseconds(Bounds.LinkTickMs);
        _timer = _time.CreateTimer(static state => ((MeshNode)state!).Tick(), this, period, period);
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
        foreach (var link in _links.Values) link.Tick();
        if (++_ticks % (Bounds.HeartbeatMs / Bounds.LinkTickMs) == 0) Beat();
    }

    private void Beat()
    {
        foreach (var link in _links.Values) link.Beat();
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
        };
        _ = _handler(new InboundStream(link.Peer, opening, channel));
    }

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
        _links.TryGetValue(site, out var link) ? link : throw new LinkException(site, LinkError.UnknownSite, $"no site {site} is configured");

    void ILinkOwner.OnMessage(LinkSession link, ulong channel, ReadOnlySpan<byte> message) => MessageHandler?.Invoke(link.Peer, channel, message);

    void ILinkOwner.OnChanged(LinkSession link) => Publish();

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
            Incarnation = _options.Incarnation,
        },
        .. _links.Values.OrderBy(link => link.Peer, StringComparer.Ordinal).Select(link => link.Status),
    ];

    /// <summary>Stops the heartbeats.</summary>
    public void Dispose() => _timer?.Dispose();
}
