using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>A move of a thing that is over.</summary>
/// <param name="From">Its sites before.</param>
/// <param name="To">Its sites after.</param>
/// <param name="DeletesReplica">Whether a site that it leaves deletes its replica.</param>
public sealed record MovedThing(ImmutableArray<string> From, ImmutableArray<string> To, bool DeletesReplica);

/// <summary>What is found when all has come to rest in a world in which sites come and go. Things and operations are named as in the history.</summary>
public sealed record Standings
{
    /// <summary>The sites that are there, in their order.</summary>
    public required IReadOnlyList<string> Sites { get; init; }

    /// <summary>Sites that never come back.</summary>
    public IReadOnlySet<string> Lost { get; init; } = new HashSet<string>();

    /// <summary>The sites of each thing before anybody changed them.</summary>
    public required IReadOnlyDictionary<string, ImmutableArray<string>> First { get; init; }

    /// <summary>The things whose sites were changed, or asked to be.</summary>
    public IReadOnlyList<string> Changed { get; init; } = [];

    /// <summary>By thing, and by the group that has it: the sites whose table says so.</summary>
    public SortedDictionary<string, SortedDictionary<string, SortedSet<string>>> Known { get; } = new(StringComparer.Ordinal);

    /// <summary>The sites of each group that a table names.</summary>
    public IDictionary<string, ImmutableArray<string>> SitesOfGroup { get; } = new Dictionary<string, ImmutableArray<string>>();

    /// <summary>The moves of a thing that are over, in their order.</summary>
    public IDictionary<string, IReadOnlyList<MovedThing>> Moves { get; } = new Dictionary<string, IReadOnlyList<MovedThing>>();

    /// <summary>What people were told: that a thing is at these sites now.</summary>
    public IReadOnlyList<(string Thing, ImmutableArray<string> Sites)> Told { get; init; } = [];

    /// <summary>The sites whose services hold a thing.</summary>
    public ISet<(string Site, string Thing)> Held { get; } = new HashSet<(string, string)>();

    /// <summary>Where services have carried out anything on a thing: whether the last of it was a deletion.</summary>
    public IDictionary<(string Site, string Thing), bool> EndsDeleted { get; } = new Dictionary<(string, string), bool>();
}

/// <summary>
/// Where everything has to stand in the end in a world in which sites come and go: what was accepted counts for the sites of the group
/// that accepted it, and a thing is where it was moved to.
/// </summary>
/// <param name="found">What is found.</param>
public sealed class StandingJudge(Standings found)
{
    /// <summary>For which sites an operation counts, but for those that are lost.</summary>
    /// <param name="asked">The operation.</param>
    /// <param name="acceptedBy">The sites of each group that has accepted it.</param>
    /// <param name="own">The site whose own it was, where it was no replica's there; null for none.</param>
    public IEnumerable<string> CountsFor(Asked asked, IReadOnlyList<ImmutableArray<string>> acceptedBy, string? own) =>
        (acceptedBy.Count > 0 ? acceptedBy[0] : own is not null ? [own] : asked.Sites.AsEnumerable()).Where(site => !found.Lost.Contains(site));

    /// <summary>What is wrong with which groups have accepted an operation; null for nothing.</summary>
    public static Violation? JudgeAccepted(string operation, IReadOnlyList<ImmutableArray<string>> acceptedBy) =>
        acceptedBy.Count > 1 ? new Violation("exactly once", $"{operation} was accepted by {string.Join(" and by ", acceptedBy.Select(one => Print(one)))}") : null;

    /// <summary>The sites that hold a thing, or would, were it not deleted.</summary>
    /// <param name="thing">The thing.</param>
    /// <param name="asked">The sites that it was asked for at.</param>
    public IEnumerable<string> SitesOf(string thing, IReadOnlySet<string> asked)
    {
        if (found.Known.TryGetValue(thing, out var groups)) return found.SitesOfGroup[groups.Keys.First()];
        if (MovesOf(thing) is [.., var last]) return last.To;
        return found.First.TryGetValue(thing, out var first) ? first : asked;
    }

    /// <summary>What is not as it was asked to be.</summary>
    public IEnumerable<Violation> Judge() =>
        found.Known.SelectMany(one => JudgeKnown(one.Key, one.Value)).Concat(found.Changed.SelectMany(JudgeRemoved)).Concat(found.Told.SelectMany(one => JudgeTold(one.Thing, one.Sites)));

    private IEnumerable<Violation> JudgeKnown(string thing, SortedDictionary<string, SortedSet<string>> groups)
    {
        const string promise = "at the same sites for all";
        if (groups.Count > 1) yield return new Violation(promise, $"{thing} is {string.Join(" and ", groups.Select(one => $"at {Print(found.SitesOfGroup[one.Key])} for {string.Join(", ", one.Value)}"))}");
        foreach (var (group, knowing) in groups)
        {
            var sites = found.SitesOfGroup[group];
            var missing = sites.Where(name => !found.Lost.Contains(name) && !knowing.Contains(name)).ToArray();
            if (missing.Length > 0) yield return new Violation(promise, $"{thing} is at {Print(sites)}, and {string.Join(", ", missing)} does not know it");
        }
    }

    // Of each site the last move that it was removed by, unless it came back.
    private IEnumerable<Violation> JudgeRemoved(string thing)
    {
        const string promise = "removed as asked";
        foreach (var site in found.Sites)
        {
            if (MovesOf(thing).LastOrDefault(move => move.From.Contains(site) != move.To.Contains(site)) is not { } last || last.To.Contains(site)) continue;
            var isThere = found.Held.Contains((site, thing));
            if (last.DeletesReplica && isThere) yield return new Violation(promise, $"{site} was to delete its replica of {thing}, and has it still");
            if (!last.DeletesReplica && !isThere && found.EndsDeleted.TryGetValue((site, thing), out var isDeleted) && !isDeleted)
                yield return new Violation(promise, $"{site} was to keep its replica of {thing}, and has it no more");
        }
    }

    private IEnumerable<Violation> JudgeTold(string thing, ImmutableArray<string> sites)
    {
        if (!MovesOf(thing).Any(move => move.To.SequenceEqual(sites)) && !found.First[thing].SequenceEqual(sites))
            yield return new Violation("moved means moved", $"{thing} was told to be at {Print(sites)}, which no group says");
    }

    private IReadOnlyList<MovedThing> MovesOf(string thing) => found.Moves.TryGetValue(thing, out var moves) ? moves : [];

    private static string Print(IEnumerable<string> sites) => string.Join(" & ", sites);
}
