using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Cheops.Agent.Api;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Logging;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Redirection;
using Cheops.Agent.Replication;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;
using Cheops.Agent.Workflows;
using Cheops.Proto;
using Cheops.Store.Bodies;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Hosting;

/// <summary>
/// One agent, composed: listeners in front of services, the handler that carries requests out, the mesh, the API.
/// Everything that is handed to the parts (clock, chance, sockets, files) is made here.
/// </summary>
public sealed partial class Agent : IAgent, IAgentStatus
{
    private readonly AgentContext _context;
    private readonly ILogger _log;
    private readonly Deadlines _deadlines;
    private readonly ProfileSet _profiles;
    private readonly FrozenDictionary<string, LocalService> _services;
    private readonly FrozenDictionary<string, ServiceConnector> _connectors;
    private readonly NatsMesh _mesh;
    private readonly WorkflowTable _workflows;
    private readonly CollaborationCounters _collaboration;
    private readonly ITimer _workflowSweep;
    private readonly FileBodyStore _bodies;
    private readonly Planner _planner;
    private readonly VersionWatch _versions;
    private readonly InterceptionCounters _linkCounters = new();
    private readonly InterceptionCounters _apiCounters = new();
    private readonly ConcurrentDictionary<ServerConnection, Task> _inbound = new();
    private readonly TokenUsers _tokens;
    private readonly ServiceCredentials _credentials;
    private readonly byte[] _siteLines;
    private readonly DateTimeOffset _startedAt;
    private FrozenDictionary<System.Net.IPEndPoint, ListenerService> _instances = FrozenDictionary<System.Net.IPEndPoint, ListenerService>.Empty;
    private readonly CurrentHandler _handler = new();
    private readonly ReplicationSection _replication;
    private CredentialSeal? _seal;
    private ReplicationStores? _stores;
    private Replicator? _replicator;
    private Contents? _contents;
    private Elsewhere? _elsewhere;
    private ImmutableArray<Listener> _listeners = [];
    private volatile AgentSettings _settings;
    private Listener? _api;
    private volatile bool _bound;
    private volatile bool _draining;

    /// <summary>Composes an agent.</summary>
    /// <exception cref="IOException">A profile or certificate cannot be used; the message names every mistake.</exception>
    public Agent(AgentContext context)
    {
        _context = context;
        _settings = context.Settings;
        _log = context.Log.CreateLogger("agent");
        _startedAt = context.Time.GetUtcNow();
        _replication = new ReplicationSection(_settings.Site);
        _profiles = ProfileLoader.Load(_settings.Profiles, out var mistakes);
        if (!mistakes.IsEmpty) throw new IOException(string.Join("; ", mistakes.Select(mistake => mistake.ToString())));

        _deadlines = new Deadlines(context.Time);
        _siteLines = Encoding.ASCII.GetBytes($"Cheops-Site: {_settings.Site}\r\nVia: 1.1 {_settings.Site}\r\n");
        _connectors = _settings.Services.ToFrozenDictionary(service => service.Name, service => new ServiceConnector(service));
        _services = _settings.Services.ToFrozenDictionary(
            service => service.Name,
            service => new LocalService(
                service.Name,
                _profiles.For(service.Name),
                new UpstreamPool(_connectors[service.Name].ConnectAsync, _deadlines, context.Time)
                {
                    DefaultHost = Encoding.ASCII.GetBytes(HostPort.Print(service.Upstream.Host, service.Upstream.Port)),
                }));
        _collaboration = new CollaborationCounters(context.Time);
        _mesh = new NatsMesh(SiteMesh.OptionsOf(_settings, context.Data.PathOf("nats"), context.Data.Incarnation), context.Time, MeshLine);
        _workflows = new WorkflowTable(context.Time, NewWorkflowId, _profiles);
        var sweep = TimeSpan.FromMilliseconds(Bounds.WorkflowSweepMs);
        _workflowSweep = context.Time.CreateTimer(static table => ((WorkflowTable)table!).Sweep(), _workflows, sweep, sweep);
        _bodies = new FileBodyStore(context.Data.PathOf("bodies"));
        _planner = new Planner(_settings.Site, _services.Keys.Concat(_profiles.ServiceNames), EmptyReplicantIndex.Instance);
        var client = new LocalServiceClient(_settings.Site, _services, _deadlines);
        _tokens = new TokenUsers(client, context.Time);
        _credentials = SiteCredentials.Make(() => _settings, _deadlines, context.Time);
        _versions = new VersionWatch(_services.Values.Select(service => service.Profile.Named(service.Name)), client, context.Time, _mesh.Node.SetServices);
        _mesh.Node.StreamHandler = ServeLinkAsync;
    }

    private RequestHandler MakeHandler() => new(
        new RequestHandlerParts
        {
            Site = _settings.Site,
            Services = _services,
            Profiles = _profiles,
            Mesh = _mesh.Node,
            Workflows = _workflows,
            Bodies = _bodies,
            Tokens = _tokens,
            Replicants = _replicator is null ? EmptyReplicantIndex.Instance : _replicator.Replicants,
            Replicator = _replicator,
            Contents = _contents,
            Elsewhere = _elsewhere,
            Counters = _collaboration,
            Owner = new SocketOwners(_settings.Services.Select(SocketOf), _context.Time).Find,
        });

    private static ServiceSocket SocketOf(ServiceSettings service) => new(
        service.Name, System.Net.IPAddress.TryParse(service.Upstream.Host.Trim('[', ']'), out var address) ? address : null, service.Upstream.Port);

    private static WorkflowId NewWorkflowId() => WorkflowId.FromBytes(RandomNumberGenerator.GetBytes(16));

    // ---- life ---------------------------------------------------------------------------------------------------

    /// <inheritdoc/>
    public IAgentStatus Status => this;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellation)
    {
        if (!_settings.Mesh.Peers.IsEmpty) await OpenReplicationAsync();
        _handler.Current = MakeHandler();
        _instances = InstancesOf(_settings).ToFrozenDictionary();

        // All addresses are bound before anything is served, so that a mistake in one leaves nothing half started.
        var listeners = ImmutableArray.CreateBuilder<Listener>();
        try
        {
            foreach (var service in _settings.Services)
            {
                foreach (var address in service.Listen) listeners.Add(MakeListener(service, address));
            }

            if (_settings.ApiListen is { } api) listeners.Add(_api = MakeApiListener(api));
        }
        catch (IOException)
        {
            foreach (var listener in listeners) await listener.DisposeAsync();
            throw;
        }

        _listeners = listeners.ToImmutable();
        WarnOfMeshWithoutTls(_settings);
        await _mesh.StartAsync();
        foreach (var listener in _listeners) listener.Start();
        _versions.Start();
        _bound = true;
    }

    private Listener MakeListener(ServiceSettings service, System.Net.IPEndPoint address)
    {
        if (service.Tls is { } tls) Certificates.ForListener(tls);
        return new Listener(
            new ListenerOptions(address, service.Name) { Tls = service.Tls is null ? null : new ListenerTls(this, service.Name).Current, Meant = MeantFor },
            Context(_handler, _services[service.Name].Counters),
            Warn);
    }

    // Rules may send several services' connections to one listener: what each was meant to reach tells which it is for.
    private ListenerService? MeantFor(System.Net.Sockets.Socket socket) =>
        OriginalDestination.Of(socket) is { } meant && _instances.TryGetValue(meant, out var service) ? service : null;

    private IEnumerable<KeyValuePair<System.Net.IPEndPoint, ListenerService>> InstancesOf(AgentSettings settings) =>
        from service in settings.Services
        let address = System.Net.IPAddress.TryParse(service.Upstream.Host, out var parsed) ? parsed : null
        where address is not null
        group service by new System.Net.IPEndPoint(address, service.Upstream.Port) into at
        where at.Count() == 1
        select KeyValuePair.Create(at.Key, new ListenerService(at.Single().Name, Context(_handler, _services[at.Single().Name].Counters)));

    private Listener MakeApiListener(System.Net.IPEndPoint address)
    {
        var silence = TimeSpan.FromMilliseconds(Bounds.HeartbeatMs * (Bounds.HeartbeatsMissedMax + 1));
        var api = new AgentApi(this, _context.Time, silence, _replication);
        return new Listener(new ListenerOptions(address, ApiAnswer.Service), Context(new ApiHandler(api, address.Address), _apiCounters) with { IsDraining = static () => false }, Warn);
    }

    private ServerContext Context(IExchangeHandler handler, InterceptionCounters counters) =>
        new(handler, _deadlines, counters, _context.Time, _settings.Site, _siteLines, new ExchangeLog(_context.Log.CreateLogger("request"))) { IsDraining = () => _draining };

    // Certificates are read once per reload, at the first handshake after it.
    private sealed class ListenerTls(Agent agent, string service)
    {
        private AgentSettings? _of;
        private System.Net.Security.SslServerAuthenticationOptions? _options;

        public System.Net.Security.SslServerAuthenticationOptions Current()
        {
            var settings = agent._settings;
            if (_options is { } known && ReferenceEquals(_of, settings)) return known;
            try
            {
                _options = Certificates.ForListener(settings.Services.First(one => one.Name == service).Tls!);
            }
            catch (Exception e) when (e is IOException && _options is not null)
            {
                agent.Warn(e.Message);
            }

            _of = settings;
            return _options!;
        }
    }

    private async Task ServeLinkAsync(InboundStream inbound)
    {
        var origin = new ExchangeOrigin
        {
            Service = inbound.Opening.Service,
            Scheme = inbound.Opening.Scheme,
            ClientAddress = inbound.Opening.ClientAddress,
            Link = inbound,
        };
        var connection = new ServerConnection(inbound.Channel, origin, Context(_handler, _linkCounters));
        var running = connection.RunAsync();
        _inbound[connection] = running;
        await running;
        _inbound.TryRemove(connection, out _);
    }

    /// <inheritdoc/>
    public async Task ReloadAsync(AgentSettings settings)
    {
        var before = _settings;
        var fixedOnes = SettingsChange.NeedingRestart(before, settings);
        if (!fixedOnes.IsEmpty) NeedsRestart(_log, string.Join(", ", fixedOnes));
        foreach (var service in settings.Services)
        {
            if (!_connectors.TryGetValue(service.Name, out var connector)) continue;
            try
            {
                connector.Reload(service);
            }
            catch (IOException e)
            {
                Warn(e.Message);
            }
        }

        _credentials.Files = SiteCredentials.FilesOf(settings);

        // The files that are named now, read anew at the next handshake; all else as it was.
        _settings = await ReloadMeshAsync(before, fixedOnes.IsEmpty ? settings : before with { LogLevel = settings.LogLevel });
    }

    private async Task<AgentSettings> ReloadMeshAsync(AgentSettings before, AgentSettings after)
    {
        try
        {
            if (_replicator is null && !after.Mesh.Peers.IsEmpty)
            {
                await OpenReplicationAsync();
                _handler.Current = MakeHandler();
            }

            await _mesh.ReloadAsync(SiteMesh.PeersOf(after));
        }
        catch (IOException e)
        {
            PeersKept(_log, e.Message);
            return after with { Mesh = before.Mesh };
        }

        if (after.Mesh.Peers.SequenceEqual(before.Mesh.Peers)) return after;
        PeersChanged(_log, string.Join(",", after.Mesh.Peers.Select(peer => peer.Site)));
        if (after.Mesh.NatsUrl is { } url) ServerIsOperators(_log, url.ToString());
        if (before.Mesh.Peers.IsEmpty) WarnOfMeshWithoutTls(after);
        return after;
    }

    private void WarnOfMeshWithoutTls(AgentSettings settings)
    {
        if (settings.Mesh is { Peers.IsEmpty: false, Tls: null, NatsUrl: null }) MeshWithoutTls(_log);
    }

    /// <inheritdoc/>
    public async Task DrainAsync()
    {
        _draining = true;
        _mesh.Node.Drain();
        var serving = _listeners.Where(listener => listener != _api).ToArray();
        foreach (var listener in serving) listener.StopAccepting();
        foreach (var connection in _inbound.Keys) connection.Drain();
        var drained = Task.WhenAll([.. serving.Select(listener => listener.DrainedAsync()), .. _inbound.Values]);
        await Task.WhenAny(drained, Task.Delay(TimeSpan.FromMilliseconds(Bounds.DrainTimeMaxMs), _context.Time));
    }

    /// <inheritdoc/>
    public async Task<bool> IsAliveAsync(CancellationToken cancellation)
    {
        // The threads that serve plain requests must come round; that the sweep ran lately shows the same of the pool's, and that time-outs are kept.
        await Reactor.PingAllAsync().WaitAsync(cancellation);
        var silent = _context.Time.GetElapsedTime(_deadlines.LastSweepTimestamp);
        return silent < TimeSpan.FromMilliseconds(20 * Bounds.DeadlineSweepMs);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var listener in _listeners) await listener.DisposeAsync();
        foreach (var connection in _inbound.Keys) connection.Abort();
        if (_replicator is not null) await _replicator.DisposeAsync();
        if (_stores is not null) await _stores.DisposeAsync();
        await _versions.DisposeAsync();
        await _mesh.DisposeAsync();
        _seal?.Dispose();
        foreach (var service in _services.Values) await service.Pool.DisposeAsync();
        await _workflowSweep.DisposeAsync();
        _deadlines.Dispose();
    }

    // ---- status -------------------------------------------------------------------------------------------------

    /// <inheritdoc/>
    public string Site => _settings.Site;

    /// <inheritdoc/>
    public Readiness Readiness => new(_bound, [.. _settings.Services.Select(service => service.Name)], _draining);

    /// <inheritdoc/>
    public ImmutableArray<SiteStatus> Sites => _mesh.Node.SitesNow;

    /// <inheritdoc/>
    public ScopeExplanation Explain(string scope, string service) =>
        ScopeExplanation.Explain(scope, service, _planner, Sites, _context.Time.GetUtcNow());

    /// <inheritdoc/>
    public void WriteMetrics(MetricsWriter metrics)
    {
        ProcessMetrics.Write(metrics, AgentVersion.Text, Site, _startedAt);
        InterceptionMetrics.Write(
            metrics,
            [.. _services.Values.OrderBy(service => service.Name, StringComparer.Ordinal).Select(service => new ServedService(service.Name, service.Counters)),
                new ServedService(ServedService.Links, _linkCounters)]);
        AgentMetrics.Write(metrics, _services.Values, _mesh, _workflows, _bodies);
        CollaborationMetrics.Write(metrics, _collaboration, _elsewhere);
    }

    private void MeshLine(string line, bool serious)
    {
        if (serious) MeshSerious(_log, line);
        else MeshNotable(_log, line);
    }

    private void Warn(string message) => Warning(_log, message);

    [LoggerMessage(EventId = 10, EventName = "Warning", Level = LogLevel.Warning, Message = "{Detail}")]
    private static partial void Warning(ILogger log, string detail);

    [LoggerMessage(EventId = 11, EventName = "MeshWithoutTls", Level = LogLevel.Warning, Message = "the mesh runs without certificates, on loopback only: set CHEOPS_MESH_CERT, _KEY and _CA for sites on other machines")]
    private static partial void MeshWithoutTls(ILogger log);

    [LoggerMessage(EventId = 12, EventName = "MeshSerious", Level = LogLevel.Warning, Message = "mesh: {Line}")]
    private static partial void MeshSerious(ILogger log, string line);

    [LoggerMessage(EventId = 13, EventName = "Mesh", Level = LogLevel.Debug, Message = "mesh: {Line}")]
    private static partial void MeshNotable(ILogger log, string line);

    [LoggerMessage(EventId = 14, EventName = "NeedsRestart", Level = LogLevel.Warning, Message = "{Variables} changed: that takes a restart; certificates and the log's level were taken over")]
    private static partial void NeedsRestart(ILogger log, string variables);

    [LoggerMessage(EventId = 15, EventName = "PeersChanged", Level = LogLevel.Information, Message = "the other sites are others now")]
    private static partial void PeersChanged(ILogger log, string peers);

    [LoggerMessage(EventId = 16, EventName = "PeersKept", Level = LogLevel.Error, Message = "CHEOPS_PEERS was not taken over, the peers before hold: {Reason}")]
    private static partial void PeersKept(ILogger log, string reason);

    [LoggerMessage(EventId = 17, EventName = "ServerIsOperators", Level = LogLevel.Warning, Message = "the server at {Url} needs its configuration anew: cheops mesh config prints it")]
    private static partial void ServerIsOperators(ILogger log, string url);

    [LoggerMessage(EventId = 18, EventName = "Recovered", Level = LogLevel.Information, Message = "{Detail}")]
    private static partial void Recovered(ILogger log, string detail);
}
