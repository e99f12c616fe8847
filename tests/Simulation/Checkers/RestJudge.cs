namespace Cheops.Tests.Simulation.Checkers;

/// <summary>How far a site is in one of its groups.</summary>
/// <param name="Last">The last entry of the log there.</param>
/// <param name="Applied">The last one that was applied there.</param>
/// <param name="Open">Operations that are not finished, or have diverged.</param>
/// <param name="Moving">Moves that are not over.</param>
public sealed record GroupProgress(long Last, long Applied, int Open, int Moving);

/// <summary>A site's id of a replica, as a site's table has it.</summary>
/// <param name="Site">The site whose id it is.</param>
/// <param name="LocalId">The id.</param>
/// <param name="Thing">The name in the history of what has that id there; null for nothing.</param>
/// <param name="IsLost">Whether the site never comes back: what was there does not matter.</param>
public sealed record KnownId(string Site, string LocalId, string? Thing, bool IsLost);

/// <summary>Whether all has come to rest, and what tables say then.</summary>
public static class RestJudge
{
    /// <summary>Whether all sites of a group have applied all that any of them has, and have nothing left to do.</summary>
    public static bool IsAtRest(IReadOnlyCollection<GroupProgress> group) =>
        group.Select(one => one.Last).Distinct().Count() == 1 && group.All(one => one.Applied == one.Last && one is { Open: 0, Moving: 0 });

    /// <summary>What is wrong with what a site's table says of a replicant, null for nothing: where it is, there is a thing, the same as everywhere.</summary>
    /// <param name="site">The site.</param>
    /// <param name="replicant">The replicant, as it is known there.</param>
    /// <param name="ids">Its ids.</param>
    public static string? JudgeIds(string site, string replicant, IReadOnlyCollection<KnownId> ids)
    {
        var things = new SortedSet<string>(ids.Where(id => !id.IsLost).Select(id => id.Thing ?? "nothing"), StringComparer.Ordinal);
        return things.Count == 1 && !things.Contains("nothing")
            ? null
            : $"{site} knows {replicant} as {string.Join(", ", ids.Select(one => $"{one.LocalId} at {one.Site}"))}, which is {string.Join(" and ", things)}";
    }
}
