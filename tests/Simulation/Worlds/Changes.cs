using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>A person gives a thing one more site, or takes one away from it: whichever <paramref name="Other"/> is.</summary>
/// <param name="AtMs">When.</param>
/// <param name="Site">Where the person asks for it, if the thing is surely there.</param>
/// <param name="Thing">The thing.</param>
/// <param name="Other">Added when it has no replica, else removed.</param>
/// <param name="DeletesReplica">Whether a site that is removed deletes its replica.</param>
internal sealed record ChangeSites(int AtMs, string Site, string Thing, string Other, bool DeletesReplica) : Step(AtMs);

/// <summary>A site ends and never comes back; later a person removes it from the mesh.</summary>
internal sealed record LoseSite(int AtMs, string Site, int RemovedAfterMs) : Step(AtMs);

/// <summary>What of a site's disk is lost.</summary>
internal enum DataLoss
{
    /// <summary>All of it.</summary>
    Everything,
    /// <summary>What the agent had noted last in its log, and the end of its groups' logs; the table is as of its last checkpoint.</summary>
    EndOfLog,
    /// <summary>The table.</summary>
    Table,
}

/// <summary>An agent ends without a word, and its disk has lost what others were told of; it comes back.</summary>
internal sealed record LoseData(int AtMs, string Site, DataLoss Loss, int DownMs) : Step(AtMs);

/// <summary>
/// What is drawn for worlds in which more changes than things: the sites of things, and the mesh itself. It is drawn by chance of
/// its own, so that the seeds of other worlds stand for what they stood for.
/// </summary>
internal static class Changes
{
    private const int Salt = 0x5157_E501;

    /// <summary>Whether a seed's world is one of those, where nobody says so.</summary>
    public static bool AreDrawn(int seed) => new Random(unchecked((seed * 486_187_739) ^ Salt)).Next(3) == 0;

    /// <summary>
    /// Whether clients of a seed's world go on naming the sites that a thing had at first, and people ask at a site that is to leave also where
    /// another one may be lost. By chance of its own, so that the seeds that were kept before stand for what they stood for.
    /// </summary>
    public static bool NameFormerSites(int seed) => new Random(unchecked((seed * 31_337) ^ Salt)).Next(2) == 0;

    /// <summary>
    /// Adds what changes. Clients ask once each, as where a thing is may be another place by then; and nothing is large where a site that
    /// alone has it may be lost.
    /// </summary>
    public static Scenario Add(Scenario scenario, IEnumerable<string> things, int lengthMs)
    {
        Step[] changes = [.. Of(scenario.Seed, scenario.Sites, things, lengthMs)];
        var loses = changes.Any(step => step is LoseSite or LoseData);
        var steps = scenario.Steps.Select(step => step is Ask ask ? ask with { Retries = 0, IsLarge = ask.IsLarge && !loses } : step);
        return scenario with { Steps = [.. steps.Concat(changes).OrderBy(step => step.AtMs)] };
    }

    private static IEnumerable<Step> Of(int seed, ImmutableArray<string> sites, IEnumerable<string> things, int length)
    {
        var chance = new Random(unchecked((seed * 486_187_739) + Salt));
        var names = things.ToArray();
        for (var left = chance.Next(1, 3 + names.Length); left > 0; left--)
            yield return new ChangeSites(chance.Next(length), Of(sites, chance), Of(names, chance), Of(sites, chance), chance.Next(2) == 0);
        switch (chance.Next(6))
        {
            case 0:
                yield return new LoseSite(chance.Next(length), Of(sites, chance), chance.Next(30_000));
                break;
            case 1 or 2:
                yield return new LoseData(chance.Next(length), Of(sites, chance), (DataLoss)chance.Next(3), chance.Next(1, 15_000));
                break;
        }
    }

    private static string Of(IReadOnlyList<string> all, Random chance) => all[chance.Next(all.Count)];
}
