using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Replication;
using Cheops.Proto;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Looks, at one site after the other, at what its agent tells of the sites, groups, replicants and operations, and holds that
/// against the truth. No claim is refuted that was true when its stated age says so.
/// </summary>
internal sealed class StatusWatch(World world, IReadOnlyList<Site> sites)
{
    private const string Promise = "status tells the truth";
    private const long Second = TimeSpan.TicksPerSecond;

    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    // Ages are told to the millisecond, by clocks that drift.
    private const long RoundingMax = TimeSpan.TicksPerMillisecond * 2;
    private const double DriftMax = 0.0005;

    // Up to when a site is told as up after its last heartbeat, and how old our own may be that it says it has heard.
    private const long SilentMax = (Bounds.HeartbeatMs * (Bounds.HeartbeatsMissedMax + 1) + (2 * Bounds.LinkTickMs)) * TimeSpan.TicksPerMillisecond;

    // After so long without any fault, sites know of each other.
    private const long MetMax = 10 * Second;

    private readonly HashSet<string> _told = [];
    private int _next;

    /// <summary>How often somebody has looked.</summary>
    public int Looks { get; private set; }

    private long DelayMax => (world.Scenario.JitterMs + world.Scenario.BulkDelayMs + 3) * TimeSpan.TicksPerMillisecond;

    /// <summary>Begins to look; for as long as the world lasts.</summary>
    public void Begin() => world.Life.Run(() => world.Clock.CreateTimer(_ => Look(sites[_next++ % sites.Count]), null, Period, Period));

    /// <summary>Looks at what a site tells at this moment.</summary>
    public void Look(Site site)
    {
        if (site.LookAt(AgentApi.SitesPath) is not { } told) return;
        Looks++;
        using (told)
        {
            foreach (var other in told.RootElement.GetProperty("sites").EnumerateArray().Where(one => !one.GetProperty("self").GetBoolean())) JudgeSite(site.Name, other);
        }

        using (var groups = site.LookAt(ReplicationApi.GroupsPath)!)
        {
            foreach (var group in groups.RootElement.GetProperty("groups").EnumerateArray()) JudgeGroup(site, group);
        }

        using (var replicants = site.LookAt(ReplicationApi.ReplicantsPath)!)
        {
            foreach (var replicant in replicants.RootElement.GetProperty("replicants").EnumerateArray()) JudgeReplicant(site.Name, replicant);
        }

        using var operations = site.LookAt(ReplicationApi.OperationsPath + "?all=1")!;
        foreach (var operation in operations.RootElement.GetProperty("operations").EnumerateArray()) JudgeOperation(site.Name, operation);
    }

    // Each lie once.
    private void Refute(string lie)
    {
        if (_told.Add(lie)) world.Violate(Promise, lie);
    }

    private void JudgeSite(string here, JsonElement told)
    {
        var (there, state, now) = (told.GetProperty("name").GetString()!, told.GetProperty("state").GetString()!, world.Now);
        var reachability = world.Reachability;
        var seconds = told.GetProperty("heardSecondsAgo") is { ValueKind: JsonValueKind.Number } age ? age.GetDouble() : -1;
        var isUp = state is "up" or "draining";
        if (seconds >= 0)
        {
            // Whoever stands still hears it later.
            var (ago, slack) = ((long)(seconds * Second), RoundingMax + (long)(seconds * DriftMax * Second));
            var since = reachability.StillSince(here, now - ago - slack, slack + DelayMax) - slack - DelayMax;
            if (!reachability.Could(there, here, since, now - ago + slack))
                world.Violate(Promise, string.Create(CultureInfo.InvariantCulture, $"{here} tells that {there} is {state}, heard {seconds:0.000} s ago, when it could not send to it"));
        }

        if (isUp && (seconds < 0 || seconds * Second > SilentMax)) world.Violate(Promise, string.Create(CultureInfo.InvariantCulture, $"{here} tells that {there} is {state}, and has not heard it for {seconds:0.000} s"));
        if (isUp && !reachability.Could(here, there, EchoedSince(here, now), now))
            world.Violate(Promise, $"{here} tells that {there} is {state}, and could send nothing to it for long");
        if (!isUp && world.Scenario.Loss == 0 && IsFaultless(here, there, now)) world.Violate(Promise, $"{here} tells that {there} is {state}, although nothing was wrong for {MetMax / Second} s");
    }

    // Since when what is sent to a site that is told as up may have been heard there.
    private long EchoedSince(string here, long now)
    {
        var at = now - SilentMax - DelayMax;
        var still = world.Reachability.StillSince(here, at, SilentMax);
        return still < at ? still - SilentMax - DelayMax : at;
    }

    private bool IsFaultless(string here, string there, long now) =>
        now > MetMax && world.Reachability.CouldAlways(here, there, now - MetMax, now) && world.Reachability.CouldAlways(there, here, now - MetMax, now);

    private void JudgeGroup(Site site, JsonElement told)
    {
        var (last, committed, applied) = (told.GetProperty("lastIndex").GetInt64(), told.GetProperty("commitIndex").GetInt64(), told.GetProperty("appliedIndex").GetInt64());
        var text = told.GetProperty("id").GetString()!;
        if (committed > last || applied > committed) Refute($"{site.Name} tells that group {text} has {last} entries, of which {committed} are committed and {applied} applied");
        if (world.GroupNamed(text) is not { } group) return;

        // What is told as applied has been: it tells of entries that it was given, or need not be given any more.
        var taken = site.TakenOf(group);
        if (world.LogOf(group).IsGivenBetween(taken, applied)) Refute($"{site.Name} tells that it has applied {applied} entries of group {text}, and was given up to {taken} only");
    }

    private void JudgeReplicant(string here, JsonElement told)
    {
        var path = told.GetProperty("path").GetString()!;
        var collection = path[..path.LastIndexOf('/')];
        var keys = new SortedSet<string>(StringComparer.Ordinal);
        var ids = new List<string>();
        foreach (var replica in told.GetProperty("replicas").EnumerateObject())
        {
            if (replica.Value.GetProperty("localId").GetString() is not { } id) continue;
            ids.Add($"{id} at {replica.Name}");
            keys.Add(world.SiteNamed(replica.Name).Service.KeyGiven(collection, id) ?? "nothing");
        }

        if (keys.Count > 1 || keys.Contains("nothing")) Refute($"{here} tells of {path} as {string.Join(", ", ids)}, which is {string.Join(" and ", keys)}");
    }

    private void JudgeOperation(string here, JsonElement told)
    {
        var id = told.GetProperty("id").GetString()!;

        // What was gone already is removed without a service doing anything.
        if (!told.TryGetProperty("decision", out var decision) || told.GetProperty("kind").GetString() == "delete" || world.OperationNamed(id) is not { } operation) return;
        foreach (var site in told.GetProperty("sites").EnumerateObject().Where(one => one.Value.GetProperty("step").GetString() == "applied" && !world.IsApplied(operation, one.Name)))
            Refute($"{here} tells that {operation} is applied at {site.Name}, whose service has not carried it out");
        foreach (var site in told.GetProperty("sites").EnumerateObject().Where(one => one.Value.GetProperty("step").GetString() == "failed" && world.IsApplied(operation, one.Name)))
            Refute($"{here} tells that {operation} has failed at {site.Name}, whose service has carried it out");
        if (decision.GetString() == "accepted" && !world.IsApplied(operation)) Refute($"{here} tells that {operation} is accepted, and no service has carried it out");
    }
}
