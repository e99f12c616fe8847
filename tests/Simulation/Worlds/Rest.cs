
namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Whether a world has come to rest, and what it holds then.</summary>
internal static class Rest
{
    /// <summary>Whether every site has applied what its groups have, and has nothing left to do.</summary>
    public static bool IsIn(IReadOnlyCollection<Site> sites)
    {
        if (!sites.All(site => site.Replicator is not null)) return false;
        var groups = sites.SelectMany(site => site.Replicator!.Groups).ToLookup(runner => runner.Founding.Id);
        return groups.All(group =>
            group.Select(runner => runner.Group!.Status.LastIndex).Distinct().Count() == 1
            && group.All(runner => runner.Group!.Status is var status && status.AppliedIndex == status.LastIndex && runner.Look(state => state.OpenCount == 0 && !state.Moving.Any())));
    }

    /// <summary>Writes into the history what the sites hold, and tells what is wrong beyond what a history shows.</summary>
    public static void Judge(World world, IReadOnlyCollection<Site> sites, double waited)
    {
        if (!IsIn(sites)) world.Violate("comes to rest", $"{waited:0} s after everything was healed: {string.Join("; ", sites.SelectMany(WhatIsOpen))}");
        var standing = world.Scenario.HasChanges ? new Standing(world, sites) : null;
        standing?.Settle();
        standing?.Judge();
        foreach (var thing in world.History.Asked.Select(asked => asked.Replicant).Distinct())
        {
            var asked = world.History.Asked.First(asked => asked.Replicant == thing).Sites;
            var scope = standing?.SitesOf(thing, asked) ?? asked;
            foreach (var site in sites.Where(site => scope.Contains(site.Name)))
            {
                var held = site.Service.Of(thing).Select(one => one.Thing.Value).ToArray();
                world.History.OnRest(site.Name, thing, held.Length == 0 ? null : string.Join(" | ", held));
            }
        }

        foreach (var site in sites.Where(site => site.Replicator is not null)) JudgeIds(world, site, sites);
    }

    private static IEnumerable<string> WhatIsOpen(Site site)
    {
        if (site.Replicator is not { } replicator) return [$"{site.Name} is not up"];
        return replicator.Groups.SelectMany(runner => runner.Look(state =>
            state.Moving.Select(move => $"{site.Name} (applied {runner.AppliedIndex}): {move.Key} moves from {string.Join(" & ", move.From)} to {string.Join(" & ", move.To)}: {replicator.Mover.ReasonOf(move.Id)}").Concat(state.Open.Select(one => $"{site.Name} (applied {runner.AppliedIndex}): {one.Id} {one.Method} {one.Target}, decision {one.Decision?.ToString() ?? "none"} by {one.Decider}, {one.Describe()}")).ToArray()));
    }

    // What a site's table says of a replicant: where it is here, there is a thing, the same as everywhere.
    private static void JudgeIds(World world, Site site, IReadOnlyCollection<Site> sites)
    {
        site.Replicator!.Replicants.Visit(record =>
        {
            var keys = new SortedSet<string>(StringComparer.Ordinal);
            foreach (var (at, localId) in record.LocalIds.Where(id => !world.Places.Lost.Contains(id.Key)))
            {
                if (at == site.Name) world.History.OnMapped(at, $"{record.Key.Collection}/{record.Key.MetaId}", $"{record.Key.Collection}/{localId}");
                var thing = sites.First(one => one.Name == at).Service.Find(record.Key.Collection, localId);
                keys.Add(thing?.Key ?? "nothing");
            }

            if (keys.Count != 1 || keys.Contains("nothing"))
                world.Violate("ids tell the truth", $"{site.Name} knows {record.Key} as {string.Join(", ", record.LocalIds.Select(one => $"{one.Value} at {one.Key}"))}, which is {string.Join(" and ", keys)}");
            return true;
        });
    }
}
