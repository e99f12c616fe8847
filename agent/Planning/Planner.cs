using System.Collections.Frozen;
using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// Turns a request's scope into a plan (DESIGN.md section 3). Pure: the same request over the same sites gives the
/// same plan. Safe from any thread.
/// </summary>
/// <remarks>
/// 1. What came over a link runs here. 2. What names a replicant is read at one of its sites or changed at all. 3. A service that the
/// scope does not name, and every service without a scope, runs here. 4. The whole of a client's scope is checked, also
/// what it says of services that are called later, so that nothing is executed half-way. 5. The location is evaluated.
/// </remarks>
public sealed class Planner
{
    private readonly FrozenSet<string> _services;
    private readonly IReplicantIndex _replicants;
    private readonly PlanResult _here;
    private SiteTable _table = new([], "");

    /// <summary>A planner for one site.</summary>
    /// <param name="site">This site's name.</param>
    /// <param name="services">The services that settings and profiles name; those that other sites advertise are known as well.</param>
    /// <param name="replicants">The index of replicants.</param>
    public Planner(string site, IEnumerable<string> services, IReplicantIndex replicants)
    {
        Site = site;
        _services = services.ToFrozenSet();
        _replicants = replicants;
        _here = new PlanResult(new SitePlan(site, IsLocal: true), null, []);
    }

    /// <summary>This site's name.</summary>
    public string Site { get; }

    /// <summary>Plans one request. Without a scope it allocates nothing.</summary>
    /// <param name="request">The request.</param>
    /// <param name="sites">What is known of the sites at this moment.</param>
    public PlanResult Plan(in PlanRequest request, ImmutableArray<SiteStatus> sites)
    {
        // 1.
        if (request.Origin == RequestOrigin.Link)
            return _here;

        // 2.
        var replicant = request.Path.IsEmpty ? null : _replicants.Find(request.Service, request.Path);
        var table = TableOf(sites);

        // 3.
        if (request.Scope is not { } scope)
            return replicant is null ? _here : PlanReplicant(replicant, request.IsRead, table);

        // 4.
        if (request.Origin == RequestOrigin.Client && Refuse(scope, request.Service, table) is { } refused)
            return new PlanResult(null, refused, []);
        if (scope.LocationOf(request.Service, addressed: request.Origin == RequestOrigin.Client) is not { } location)
            return replicant is null ? _here : PlanReplicant(replicant, request.IsRead, table);

        // 5.
        var evaluation = new PlanEvaluation(request.Service, table);
        var plan = evaluation.Evaluate(location);
        if (evaluation.Refusal is { } refusal) return new PlanResult(null, refusal, evaluation.Notes);
        return replicant is null ? new PlanResult(plan, null, evaluation.Notes) { Asked = plan } : PlanReplicantAsScoped(replicant, plan!, request.IsRead, table);
    }

    private PlanRefusal? Refuse(Scope scope, string addressed, SiteTable table)
    {
        if (!new ScopeCheck(_services, table).Check(scope, out var unknown))
            return unknown;
        foreach (var (service, location) in scope.Bindings)
        {
            if (service is Binding.Addressed or Binding.AnyOther || service == addressed)
                continue;
            var later = new PlanEvaluation(service, table);
            if (later.Evaluate(location) is null)
                return later.Refusal;
        }

        return null;
    }

    // A change goes to all replicas; a read to the one here, else to the nearest.
    private PlanResult PlanReplicant(Replicant replicant, bool isRead, SiteTable table, Plan? asked = null)
    {
        if (isRead) return new PlanResult(new SitePlan(NearestOf(replicant, table), replicant.Sites.Contains(Site)), null, []) { Replicant = replicant, Asked = asked };
        var replicas = ImmutableArray.CreateRange(replicant.Sites, Plan (site) => new SitePlan(site, site == Site));
        return new PlanResult(new AllPlan(replicant.Operator, replicas, replicant), null, []) { Replicant = replicant, Asked = asked };
    }

    private string NearestOf(Replicant replicant, SiteTable table) =>
        replicant.Sites.Contains(Site) ? Site
        : replicant.Sites.OrderBy(site => table.Find(site) is { State: SiteState.Up } ? 0 : 1).ThenBy(site => table.Find(site)?.RoundTrip ?? TimeSpan.MaxValue).First();

    // A read may name a site; a change must name all of them, since none of them may be left behind.
    private PlanResult PlanReplicantAsScoped(Replicant replicant, Plan plan, bool isRead, SiteTable table)
    {
        if (isRead) return plan is AllPlan ? PlanReplicant(replicant, isRead, table, plan) : new PlanResult(plan, null, []) { Replicant = replicant, Asked = plan };
        var named = plan is AllPlan all ? all.Replicas.OfType<SitePlan>().Select(one => one.Site) : [plan.ToString()];
        if (named.ToHashSet().SetEquals(replicant.Sites)) return PlanReplicant(replicant, isRead, table, plan);
        var refusal = new PlanRefusal(
            PlanRefusalKind.OtherSites,
            $"{replicant.MetaId} is replicated at {string.Join(" & ", replicant.Sites)}, and the scope names {plan}; leave the scope out, "
            + "or change the sites with 'cheops replicants add-site' and 'remove-site'",
            409);
        return new PlanResult(null, refusal, []) { Asked = plan };
    }

    // The snapshot is swapped whole, about once a heartbeat; a race here only builds the table twice.
    private SiteTable TableOf(ImmutableArray<SiteStatus> sites)
    {
        var table = Volatile.Read(ref _table);
        if (table.Sites != sites)
            Volatile.Write(ref _table, table = new SiteTable(sites, Site));
        return table;
    }
}
