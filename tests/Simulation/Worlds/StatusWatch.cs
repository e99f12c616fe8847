using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Replication;
using Cheops.Proto;
using Cheops.Tests.Simulation.Checkers;
using Cheops.Tests.Simulation.Linearizability;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Looks, at one site after the other, at what its agent tells of the sites, groups, replicants and operations; <see cref="SitesJudge"/>
/// and <see cref="ReplicationJudge"/> hold that against the truth.
/// </summary>
internal sealed class StatusWatch : IReplicationTruth
{
    /// <summary>The promise that a lie breaks.</summary>
    public const string Promise = "status tells the truth";

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    private readonly World _world;
    private readonly IReadOnlyList<Site> _sites;
    private readonly SitesJudge _sitesJudge;
    private readonly ReplicationJudge _replicationJudge;
    private readonly HashSet<string> _told = [];
    private int _next;

    public StatusWatch(World world, IReadOnlyList<Site> sites)
    {
        var scenario = world.Scenario;
        (_world, _sites) = (world, sites);
        _replicationJudge = new ReplicationJudge(this);
        _sitesJudge = new SitesJudge(scenario.Sites, world.Reachability, new SitesPromise(
            SilentMax: Ms(Bounds.HeartbeatMs * (Bounds.HeartbeatsMissedMax + 1) + (2 * Bounds.LinkTickMs)),
            DelayMax: Ms(scenario.JitterMs + scenario.BulkDelayMs + 3),
            MetMax: Ms(10_000),
            LosesNothing: scenario.Loss == 0));
    }

    /// <summary>How often somebody has looked.</summary>
    public int Looks { get; private set; }

    History IReplicationTruth.History => _world.History;

    bool IReplicationTruth.SitesMayChange => _world.Scenario.HasChanges;

    LogHistory? IReplicationTruth.LogOf(string group) => _world.GroupNamed(group) is { } id ? _world.LogOf(id) : null;

    long IReplicationTruth.TakenAt(string site, string group) => _world.SiteNamed(site).TakenOf(_world.GroupNamed(group)!.Value);

    string? IReplicationTruth.OperationNamed(string id) => _world.OperationNamed(id);

    string? IReplicationTruth.KeyGiven(string site, string collection, string id) => _world.SiteNamed(site).Service.KeyGiven(collection, id);

    /// <summary>Begins to look; for as long as the world lasts.</summary>
    public void Begin() => _world.Life.Run(() => _world.Clock.CreateTimer(_ => Look(_sites[_next++ % _sites.Count]), null, Period, Period));

    /// <summary>Looks at what a site tells at this moment.</summary>
    public void Look(Site site)
    {
        if (Judge(site, isAtRest: false)) Looks++;
    }

    /// <summary>Looks once at each site, when all has come to rest.</summary>
    public void LookAtRest(IEnumerable<Site> sites)
    {
        foreach (var site in sites) Judge(site, isAtRest: true);
    }

    /// <inheritdoc cref="ReplicationJudge.JudgeAnswer"/>
    public IEnumerable<string> JudgeAnswer(string operation, string? replicas) => _replicationJudge.JudgeAnswer(operation, replicas);

    private bool Judge(Site site, bool isAtRest)
    {
        if (site.LookAt(AgentApi.SitesPath) is not { } sites) return false;
        using (sites)
        {
            foreach (var lie in _sitesJudge.Judge(site.Name, _world.Now, sites.RootElement.GetProperty("sites"))) _world.Violate(Promise, lie);
        }

        using var groups = site.LookAt(ReplicationApi.GroupsPath)!;
        using var replicants = site.LookAt(ReplicationApi.ReplicantsPath)!;
        using var operations = site.LookAt(ReplicationApi.OperationsPath + "?all=1")!;
        var told = new ToldReplication(site.Name, ListIn(groups, "groups"), ListIn(replicants, "replicants"), ListIn(operations, "operations"));

        // Each lie once.
        foreach (var lie in _replicationJudge.Judge(told).Concat(isAtRest ? _replicationJudge.JudgeAtRest(told) : []).Where(_told.Add)) _world.Violate(Promise, lie);
        return true;
    }

    private static JsonElement ListIn(JsonDocument document, string name) => document.RootElement.GetProperty(name);

    private static long Ms(long ms) => ms * TimeSpan.TicksPerMillisecond;
}
