using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// One evaluation of a location for one service. A site that cannot carry the service out (it does not offer it, or in
/// another major version) refuses the plan, except as an alternative of <c>;</c> or <c>around</c>: there it is left
/// out, with a note, since it was not reached and nothing is left behind.
/// </summary>
internal sealed class PlanEvaluation(string service, SiteTable table)
{
    private const int NoteCountMax = 32;

    private readonly ImmutableArray<string>.Builder _notes = ImmutableArray.CreateBuilder<string>();
    private int _siteCount;

    /// <summary>Why there is no plan; null when there is one.</summary>
    public PlanRefusal? Refusal { get; private set; }

    public ImmutableArray<string> Notes => _notes.ToImmutable();

    /// <summary>The plan; null when <see cref="Refusal"/> is set.</summary>
    public Plan? Evaluate(Location location) => location switch
    {
        SiteLocation site => EvaluateSite(NameOf(site)),
        AroundLocation around => EvaluateAround(around),
        FirstLocation first => EvaluateFirst(first.Alternatives, Evaluate),
        AllLocation all => EvaluateEach(all.Replicas) is { } replicas ? PlanShape.All(all.Operator, replicas) : null,
        SpreadLocation spread => EvaluateEach(spread.Parts) is { } parts ? PlanShape.Spread(parts) : null,
        _ => throw new InvalidOperationException($"A location of a kind nobody plans: {location.GetType().Name}."),
    };

    private string NameOf(SiteLocation site) => site.MentionsHere ? table.Here : site.Name;

    private SitePlan? EvaluateSite(string name)
    {
        if (++_siteCount > Bounds.PlanSiteCountMax)
            return Refuse(new PlanRefusal(PlanRefusalKind.TooLarge, $"the scope comes to more than {Bounds.PlanSiteCountMax} sites; name fewer"));
        if (!table.Knows(name))
            return Refuse(ScopeCheck.RefuseSite(name, table));
        if (name == table.Here)
            return new SitePlan(name, IsLocal: true);
        return Unfit(table.Find(name)!) is { } unfit ? Refuse(unfit) : new SitePlan(name, IsLocal: false);
    }

    private Plan? EvaluateAround(AroundLocation around)
    {
        var center = NameOf(around.Center);
        if (!table.Knows(center))
            return Refuse(ScopeCheck.RefuseSite(center, table));
        var near = table.Around(center, around.Within, out var measured);
        if (!measured)
            Note($"around({center}, …): no round-trip time from {center} is known yet, so {center} stands alone");
        return EvaluateFirst([center, .. near], EvaluateSite);
    }

    // Alternatives that are unfit are left out; when all are, the first one's refusal stands. A wrong name is never
    // left out: it is a mistake of the user's, who should learn of it.
    private Plan? EvaluateFirst<T>(ImmutableArray<T> alternatives, Func<T, Plan?> evaluate)
    {
        var plans = new List<Plan>(alternatives.Length);
        PlanRefusal? unfit = null;
        foreach (var alternative in alternatives)
        {
            if (evaluate(alternative) is { } plan)
                plans.Add(plan);
            if (Refusal is null)
                continue;
            if (Refusal.Kind is not (PlanRefusalKind.NotOffered or PlanRefusalKind.VersionMismatch))
                return null;
            Note($"left out: {Refusal.Detail}");
            unfit ??= Refusal;
            Refusal = null;
        }

        return plans.Count > 0 ? PlanShape.First(plans) : Refuse(unfit!);
    }

    private List<Plan>? EvaluateEach(ImmutableArray<Location> locations)
    {
        var plans = new List<Plan>(locations.Length);
        foreach (var location in locations)
        {
            if (Evaluate(location) is not { } plan)
                return null;
            plans.Add(plan);
        }

        return plans;
    }

    // A site that was not heard from may offer anything; whether it can be reached is found out by trying.
    private PlanRefusal? Unfit(SiteStatus site)
    {
        if (!site.Services.TryGetValue(service, out var there))
        {
            return site.State is not (SiteState.Up or SiteState.Draining)
                ? null
                : new PlanRefusal(PlanRefusalKind.NotOffered, $"{site.Name} does not offer {service}; it offers {Offers(site)}");
        }

        var here = table.Find(table.Here)?.Services.GetValueOrDefault(service) ?? "";
        if (here.Length == 0 || there.Length == 0 || Major(here).SequenceEqual(Major(there)))
            return null;
        return new PlanRefusal(
            PlanRefusalKind.VersionMismatch,
            $"{service} at {site.Name} has version {there}, here it has {here}; sites collaborate only within one major version");
    }

    private static string Offers(SiteStatus site) =>
        site.Services.IsEmpty ? "nothing" : string.Join(", ", site.Services.Keys.Order(StringComparer.Ordinal));

    private static ReadOnlySpan<char> Major(string version) =>
        version.IndexOf('.', StringComparison.Ordinal) is >= 0 and var dot ? version.AsSpan(0, dot) : version;

    private void Note(string note)
    {
        if (_notes.Count < NoteCountMax)
            _notes.Add(note);
    }

    private SitePlan? Refuse(PlanRefusal refusal)
    {
        Refusal = refusal;
        return null;
    }
}
