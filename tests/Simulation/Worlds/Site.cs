using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Api;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Protocol;
using Cheops.Agent.Replication;
using Cheops.Agent.Transport;
using Cheops.Agent.Workflows;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Cheops.Store.Bodies;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// One site: its service and its disk, which outlive its agent, and the agent: all of the product from the bytes of a
/// connection on, over links, groups, a disk and a clock that are the world's.
/// </summary>
internal sealed partial class Site
{
    private readonly World _world;
    private readonly int _number;
    private readonly SiteDisk _disk;
    private Agent? _agent;

    public Site(World world, string name, int number)
    {
        (_world, Name, _number) = (world, name, number);
        Service = new RestService(world, name, 1000 * number);
        _disk = new SiteDisk(world, world.ChanceFor($"disk of {name}"));
    }

    public string Name { get; }

    public RestService Service { get; }

    public bool IsUp => _agent is not null;

    /// <summary>Whether it never comes back.</summary>
    public bool IsLost { get; private set; }

    public Replicator? Replicator => _agent?.Replicator;

    /// <summary>How far its time of day is off.</summary>
    public TimeSpan ClockOff { get; private set; }

    /// <summary>Starts the agent.</summary>
    public void Start()
    {
        if (_agent is not null || IsLost) return;
        _world.Tell(Name, null, "the agent starts");
        _world.Reachability.OnSite(Name, true, _world.Now);
        _agent = new Agent(this);
        _agent.Life.Run(() => _world.Watch($"the start of {Name}", _agent.StartAsync()));
    }

    /// <summary>The site is gone for good.</summary>
    public void Lose()
    {
        Crash();
        IsLost = true;
    }

    /// <summary>Ends the agent without a word, wherever it is.</summary>
    public void Crash() => Crash(null);

    /// <summary>The same, with a disk that has lost what others were told of.</summary>
    public void Crash(DataLoss? loss)
    {
        if (_agent is null) return;
        _world.Tell(Name, null, $"the agent ends without a word{(loss is null ? "" : $"; lost: {loss}")}");
        _world.Reachability.OnSite(Name, false, _world.Now);
        _agent.End();
        _disk.Crash(loss);
        _agent = null;
    }

    /// <summary>Ends the agent after some steps of it, and does what is to be done then.</summary>
    public void CrashAfter(int steps, Action then) => _agent?.Life.After(steps, () => _world.Life.Run(() =>
    {
        Crash();
        then();
    }));

    /// <summary>Ends the agent in an orderly way, and does what is to be done then.</summary>
    public void Stop(Action then)
    {
        if (_agent is not { Replicator: { } replicator } agent || agent.IsStopping) return;
        agent.IsStopping = true;
        _world.Tell(Name, null, "the agent is told to end");
        agent.Life.Run(() => _world.Watch($"the end of {Name}", StopAsync(agent, replicator, then)));
    }

    private async Task StopAsync(Agent agent, Replicator replicator, Action then)
    {
        await replicator.DisposeAsync();
        if (_agent != agent) return;
        _world.Life.Run(() =>
        {
            Crash();
            then();
        });
    }

    /// <summary>The machine stands still for a while: neither the agent nor its groups do anything.</summary>
    public void Freeze(TimeSpan time) => _agent?.Life.Freeze(time);

    /// <summary>The disk is full, or has room again.</summary>
    public void Fill(bool isFull) => _disk.Fill(isFull);

    /// <summary>Starts the agent if it is down; if it is up, lets it be.</summary>
    public void Heal()
    {
        _agent?.Life.After(-1, null);

        // One that is just ending comes back at once.
        if (_agent is { IsStopping: true }) Crash();
        Start();
    }

    /// <summary>Lets the time of day jump.</summary>
    public void Jump(TimeSpan by)
    {
        ClockOff += by;
        if (_agent is not null) _agent.Clock.Off = ClockOff;
    }

    /// <summary>A client connects to the agent; null when nobody listens.</summary>
    public Channel? Connect() => _agent?.Connect();

    /// <summary>Asks the agent's API.</summary>
    public async Task<ApiAnswer?> AskApiAsync(ApiRequest request) =>
        _agent?.Api is { } api ? await _agent.Life.Begin(() => api.AnswerAsync(request).AsTask()) : null;

    /// <summary>Runs something of the agent in its life.</summary>
    public Task<T> Begin<T>(Func<Replicator, Task<T>> begin) => _agent!.Life.Begin(() => begin(_agent.Replicator!));

    /// <summary>One run of the agent.</summary>
    private sealed partial class Agent : IRequestLog
    {
        private readonly Site _site;
        private readonly World _world;
        private readonly Random _chance;
        private readonly List<Channel> _channels = [];
        private MeshNode? _mesh;
        private Deadlines? _deadlines;
        private SimulatedGroupHost? _groups;
        private ServerContext? _context;

        public Agent(Site site)
        {
            (_site, _world) = (site, site._world);
            Life = _world.NewLife(site.Name);
            _chance = _world.ChanceFor($"{site.Name} {Life.Number}");
            Clock = _world.ClockOf(Life, site._number);
            Clock.Off = site.ClockOff;
        }

        public Life Life { get; }

        public LifeClock Clock { get; }

        public bool IsStopping { get; set; }

        public Replicator? Replicator { get; private set; }

        public ReplicationApi? Api { get; private set; }

        // As Hosting/Agent composes it.
        public async Task StartAsync()
        {
            var name = _site.Name;
            _deadlines = new Deadlines(Clock);
            var seal = Seals.Of(_site._number);
            var profiles = _world.Profiles;
            _mesh = new MeshNode(
                new MeshOptions
                {
                    Site = name,
                    Peers = [.. _world.Scenario.Sites.Where(other => other != name).Select(other => new MeshPeer(other, null, 0))],
                    Directory = "",
                    AgentVersion = "1.0.0",
                    Incarnation = "of " + name,
                    Services = ImmutableDictionary<string, string>.Empty.Add(World.Service, ""),
                },
                peer => new Link(_world.Links.Connect(name, peer), Life),
                () => (uint)_chance.Next(1, int.MaxValue),
                _chance,
                Clock,
                Warn)
            { StreamHandler = ServeLinkAsync };
            _mesh.SetData("of " + name, seal.PublicKey);
            var services = new[] { new LocalService(World.Service, profiles.For(World.Service), new UpstreamPool((_, _) => new(Dial()), _deadlines, Clock)) }
                .ToFrozenDictionary(service => service.Name);
            var contents = new Contents(name, _site._disk.Contents, _mesh, _deadlines, Clock);
            Replicator = await Replicator.OpenAsync(new ReplicatorParts
            {
                Site = name,
                Profiles = profiles,
                Mesh = _mesh,
                Table = _site._disk.Table,
                Journal = _site._disk.Open(),
                Contents = contents,
                Service = new PooledReplicaService(name, services, _deadlines),
                Seal = seal,
                SiteKeys = _site._disk.SiteKeys,
                Deadlines = _deadlines,
                Time = Clock,
                Chance = bytes => _chance.NextBytes(bytes),
                OpenHost = machines => new(_siteGroups = new SiteGroups(_world.Life, Join(founding => Life.Make(() => machines(founding))), LogOf)),
                Warn = Warn,
            });
            var handler = new RequestHandler(new RequestHandlerParts
            {
                Site = name,
                Services = services,
                Profiles = profiles,
                Mesh = _mesh,
                Workflows = new WorkflowTable(Clock, NewWorkflowId, profiles),
                Bodies = new MemoryBodyStore(),
                Tokens = new TokenUsers(new LocalServiceClient(name, services, _deadlines), Clock),
                Replicants = Replicator.Replicants,
                Replicator = Replicator,
                Contents = contents,
                Elsewhere = new Elsewhere(name, _mesh, Replicator, _deadlines, Clock),
                Counters = new CollaborationCounters(Clock),
            });
            _context = new ServerContext(handler, _deadlines, new InterceptionCounters(), Clock, name, Encoding.ASCII.GetBytes($"Cheops-Site: {name}\r\nVia: 1.1 {name}\r\n"), this);
            Api = new ReplicationApi(name, Replicator, Clock);
            _mesh.HoldsReplicants = () => Replicator.Replicants.Any;
            _mesh.Start();
        }

        private SimulatedGroupHost Join(Func<GroupFounding, IGroupMachine> machines) =>
            _groups = _world.Life.Make(() => _world.Groups.Join(_site.Name, founding => SiteGroups.MachineAt(Life, _world.Clock, LogOf(founding.Id), machines(founding))));

        private WorkflowId NewWorkflowId()
        {
            var bytes = new byte[16];
            _chance.NextBytes(bytes);
            return WorkflowId.FromBytes(bytes);
        }

        private Channel Dial()
        {
            var channel = _site.Service.Connect();
            _channels.Add(channel);
            return channel;
        }

        public Channel? Connect()
        {
            if (_context is null || IsStopping) return null;
            var (client, server) = MemoryTransport.Pair();
            _channels.Add(server);
            var origin = new ExchangeOrigin { Service = World.Service, Scheme = "http", ClientAddress = "192.0.2.1" };
            Life.Run(() => _ = new ServerConnection(server, origin, _context).RunAsync());
            return client;
        }

        private Task ServeLinkAsync(InboundStream inbound)
        {
            var origin = new ExchangeOrigin { Service = inbound.Opening.Service, Scheme = inbound.Opening.Scheme, ClientAddress = inbound.Opening.ClientAddress, Link = inbound };
            return new ServerConnection(inbound.Channel, origin, _context!).RunAsync();
        }

        // The system closes the sockets of a process that is gone.
        public void End()
        {
            Life.End();
            foreach (var peer in _world.Scenario.Sites) _world.Links.Remove(_site.Name, peer);
            if (_groups is not null) _ = _groups.DisposeAsync().AsTask();
            foreach (var channel in _channels) _ = channel.DisposeAsync().AsTask();
        }

        private void Warn(string message)
        {
            _world.Tell(_site.Name, null, $"warns: {message}");
            if (message.Contains("   at ", StringComparison.Ordinal)) _world.Violate("no error that nobody expected", $"{_site.Name}: {message}");
        }

        public void Failed(Exchange exchange) => _world.Tell(_site.Name, null, $"answers by itself: {exchange.Failure?.Kind}, {exchange.Failure?.Detail}");

        public void Unexpected(Exchange exchange, Exception error) => _world.Violate("no error that nobody expected", $"{_site.Name}: {error}");
    }

    // What arrives is taken by whoever lives there.
    private sealed class Link(ILinkTransport inner, Life life) : ILinkTransport
    {
        public void Start(Action<LinkLane, ReadOnlyMemory<byte>> receive, Action<ulong> undeliverable) =>
            inner.Start(
                (lane, message) =>
                {
                    var kept = message.ToArray();
                    life.RunAwake(() => receive(lane, kept));
                },
                token => life.RunAwake(() => undeliverable(token)));

        public ValueTask SendAsync(LinkLane lane, ReadOnlyMemory<byte> message, ulong token, CancellationToken cancellation) =>
            inner.SendAsync(lane, message, token, cancellation);
    }
}
