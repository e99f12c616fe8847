using System.Collections.Immutable;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh;

/// <summary>This site's end of all its links.</summary>
public sealed class MeshNode : IMesh, ILinkOwner, IDisposable
{
    private readonly MeshOptions _options;
    private readonly TimeProvider _time;
    private readonly Action<string> _warn;
    private readonly ImmutableDictionary<string, LinkSession> _links;
    private readonly Lock _gate = new();
    private ITimer? _timer;
    private ImmutableDictionary<string, string> _services;
    private ImmutableArray<SiteStatus> _sites;
    private bool _draining;
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
        var budget = new WindowBudget();
        _links = options.Peers.ToImmutableDictionary(
            peer => peer.Site,
            peer => new LinkSession(options.Site, peer.Site, session, transport(peer.Site), this, budget, time));
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
        var period = TimeSpan.FromMilliseconds(Bounds.HeartbeatMs);
        _timer = _time.CreateTimer(static state => ((MeshNode)state!).Beat(), this, period, period);
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

    private void Beat()
    {
        foreach (var link in _links.Values) link.Beat();
    }

    /// <inheritdoc/>
    public Channel OpenStream(string site, StreamOpening opening)
    {
        if (!_links.TryGetValue(site, out var link)) throw new LinkException(site, LinkError.UnknownSite, $"no site {site} is configured");
        return link.OpenStream(new StreamHead
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
        },
        .. _links.Values.OrderBy(link => link.Peer, StringComparer.Ordinal).Select(StatusOf),
    ];

    private static SiteStatus StatusOf(LinkSession link) => new()
    {
        Name = link.Peer,
        State = link.State,
        Reason = link.Reason,
        HeardAt = link.HeardAt,
        RoundTrip = link.RoundTrip,
        RoundTripAt = link.RoundTripAt,
        RoundTripsFromThere = link.PeerStatus.RoundTrips.ToImmutableDictionary(pair => pair.Key, pair => TimeSpan.FromMicroseconds(pair.Value)),
        Services = link.PeerStatus.Services,
        AgentVersion = link.PeerStatus.AgentVersion,
    };

    /// <summary>Stops the heartbeats.</summary>
    public void Dispose() => _timer?.Dispose();
}
