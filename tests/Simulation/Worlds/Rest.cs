using Cheops.Agent.Replication;
using Cheops.Tests.Simulation.Checkers;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Looks whether a world has come to rest, and what it holds then; <see cref="RestJudge"/> judges it.</summary>
internal static class Rest
{
    /// <summary>Whether every site has applied what its groups have, and has nothing left to do.</summary>
    public static bool IsIn(IReadOnlyCollection<Site> sites)
    {
        if (!sites.All(site => site.Replicator is not null)) return false;
        var groups = sites.SelectMany(site => site.Replicator!.Groups).ToLookup(runner => runner.Founding.Id);
        return groups.All(group => RestJudge.IsAtRest([.. group.Select(ProgressOf)]));
    }

    private static GroupProgress ProgressOf(GroupRunner runner)
    {
        var status = runner.Group!.Status;
        return runner.Look(state => new GroupProgress(status.LastIndex, status.AppliedIndex, state.OpenCount, state.Moving.Count()));
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

    // What a site's table says of a replicant.
    private static void JudgeIds(World world, Site site, IReadOnlyCollection<Site> sites)
    {
        site.Replicator!.Replicants.Visit(record =>
        {
            var replicant = $"{record.Key.Collection}/{record.Key.MetaId}";
            var ids = record.LocalIds.Select(id => world.Places.Lost.Contains(id.Key)
                ? new KnownId(id.Key, id.Value, null, IsLost: true)
                : new KnownId(id.Key, id.Value, sites.First(one => one.Name == id.Key).Service.Find(record.Key.Collection, id.Value)?.Key, IsLost: false)).ToArray();
            if (ids.FirstOrDefault(id => id.Site == site.Name && !id.IsLost) is { } own) world.History.OnMapped(own.Site, replicant, $"{record.Key.Collection}/{own.LocalId}");
            if (RestJudge.JudgeIds(site.Name, record.Key.ToString(), ids) is { } lie) world.Violate("ids tell the truth", lie);
            return true;
        });
    }
}
