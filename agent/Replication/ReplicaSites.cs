using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;

namespace Cheops.Agent.Replication;

/// <summary>Which sites a plan to replicate comes to.</summary>
internal static class ReplicaSites
{
    /// <summary>The sites of a plan, in ordinal order; of alternatives, the first that is there, else the first.</summary>
    public static ImmutableArray<string> Of(AllPlan plan, ImmutableArray<SiteStatus> sites) =>
        [.. plan.Replicas.Select(replica => OneOf(replica, sites)).Distinct().Order(StringComparer.Ordinal)];

    private static string OneOf(Plan plan, ImmutableArray<SiteStatus> sites)
    {
        var named = Named(plan).ToArray();
        return named.FirstOrDefault(name => IsUp(name, sites)) ?? named[0];
    }

    private static IEnumerable<string> Named(Plan plan) => plan switch
    {
        SitePlan one => [one.Site],
        _ => TreeText.PartsOf(plan).SelectMany(Named),
    };

    /// <summary>The nearest of some sites that is there; the first when none is.</summary>
    public static string Nearest(ImmutableArray<string> of, ImmutableArray<SiteStatus> sites) =>
        of.OrderBy(name => IsUp(name, sites) ? 0 : 1)
            .ThenBy(name => sites.FirstOrDefault(site => site.Name == name)?.RoundTrip ?? TimeSpan.MaxValue)
            .First();

    private static bool IsUp(string name, ImmutableArray<SiteStatus> sites) =>
        sites.Any(site => site.Name == name && (site.IsSelf || site.State == SiteState.Up));

    /// <summary>What a plan comes to for a request that only reads: of sites that replicate, the one here, else the nearest.</summary>
    public static Plan ForReading(Plan plan, string here, ImmutableArray<SiteStatus> sites)
    {
        if (plan is not AllPlan all) return plan;
        var of = Of(all, sites);
        var at = of.Contains(here) ? here : Nearest(of, sites);
        return new SitePlan(at, at == here);
    }
}
