using System.Collections.Immutable;
using System.Security.Cryptography;
using Cheops.Agent.Api;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication;

namespace Cheops.Agent.Hosting;

public sealed partial class Agent
{
    // With no other site there is nobody to replicate with, and nothing is opened until there is one. The mesh tells of the
    // data here, which have another name when something of them is lost.
    private async Task OpenReplicationAsync()
    {
        _seal ??= CredentialSeal.Open(_context.Data.PathOf("sealing.key"));
        _stores ??= await ReplicationStores.OpenAsync(_context.Data, _context.Time, detail => Recovered(_log, detail), Warn);
        _mesh.Node.SetData(_context.Data.Incarnation, _seal.PublicKey);
        var transport = new MeshGroupTransport(_settings.Site, _context.Data.Incarnation, _mesh.Node);
        _contents = new Contents(_settings.Site, _stores.Contents, _mesh.Node, _deadlines, _context.Time);
        _replicator = await Replicator.OpenAsync(new ReplicatorParts
        {
            Site = _settings.Site,
            Profiles = _profiles,
            Mesh = _mesh.Node,
            Table = _stores.Table,
            Journal = _stores.Journal,
            Contents = _contents,
            Service = new PooledReplicaService(_settings.Site, _services, _deadlines),
            Credentials = _credentials,
            Seal = _seal,
            SiteKeys = new SiteKeys(_context.Data.Read("sites.keys"), text => _context.Data.Keep("sites.keys", text), Warn),
            Deadlines = _deadlines,
            Time = _context.Time,
            Chance = RandomNumberGenerator.Fill,
            OpenHost = machines => _stores.OpenHost(transport, machines, _context.Time),
            Warn = Warn,
        });
        _elsewhere = new Elsewhere(_settings.Site, _mesh.Node, _replicator, _deadlines, _context.Time);
        _mesh.Node.HoldsReplicants = () => _replicator.Replicants.Any;
        _replication.Opened(new ReplicationApi(_settings.Site, _replicator, _context.Time));
    }

    // Replication may be opened while requests are served: those that come then meet a handler that knows of it.
    private sealed class CurrentHandler : IExchangeHandler
    {
        private volatile RequestHandler? _current;

        public RequestHandler Current
        {
            set => _current = value;
        }

        public ValueTask HandleAsync(Exchange exchange) => _current!.HandleAsync(exchange);
    }

    private sealed class ReplicationSection(string site) : IApiSection
    {
        private volatile ReplicationApi? _opened;

        public ImmutableArray<string> Paths => ReplicationApi.AllPaths;

        public void Opened(ReplicationApi api) => _opened = api;

        public ValueTask<ApiAnswer> AnswerAsync(ApiRequest request) => _opened is { } api
            ? api.AnswerAsync(request)
            : new(ApiAnswer.Failure(site, 404, "not-replicating", "Nothing is replicated here", $"{site} has no other site to replicate with: name one in CHEOPS_PEERS"));
    }
}
