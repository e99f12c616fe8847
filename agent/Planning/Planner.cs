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
/// 1. What came over a link runs here. 2. What names a replicant is an operation for its group. 3. A service that the
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
        if (!request.Path.IsEmpty && _replicants.Find(request.Service, request.Path) is { } replicant)
            return PlanReplicant(replicant);

        // 3.
        if (request.Scope is not { } scope)
            return _here;
        var table = TableOf(sites);

        // 4.
        if (request.Origin == RequestOrigin.Client && Refuse(scope, request.Service, table) is { } refused)
            return new PlanResult(null, refused, []);
        if (scope.LocationOf(request.Service, addressed: request.Origin == RequestOrigin.Client) is not { } location)
            return _here;

        // 5.
        var evaluation = new PlanEvaluation(request.Service, table);
        var plan = evaluation.Evaluate(location);
        return evaluation.Refusal is { } refusal
            ? new PlanResult(null, refusal, evaluation.Notes)
            : new PlanResult(plan, null, evaluation.Notes);
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

    private PlanResult PlanReplicant(Replicant replicant)
    {
        var replicas = ImmutableArray.CreateRange(replicant.Sites, Plan (site) => new SitePlan(site, site == Site));
        return new PlanResult(new AllPlan(replicant.Operator, replicas, replicant), null, []);
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
