using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Judges, in a world in which sites come and go, where everything stands in the end: what was accepted counts for the sites of
/// the group that accepted it, and a thing is where it was moved to.
/// </summary>
internal sealed class Standing
{
    private readonly World _world;
    private readonly IReadOnlyCollection<Site> _sites;
    private readonly GroupLogs _logs;

    // The sites whose table knows a thing, by its group.
    private readonly SortedDictionary<string, SortedDictionary<string, SortedSet<string>>> _known = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ImmutableArray<string>> _sitesOf = [];
    private readonly Dictionary<(string Collection, string MetaId), string> _things = [];

    public Standing(World world, IReadOnlyCollection<Site> sites)
    {
        (_world, _sites, _logs) = (world, sites, new GroupLogs(world.Groups));
        foreach (var site in sites.Where(site => site.Replicator is not null)) Visit(site);
    }

    /// <summary>Writes into the history for which sites each operation counts.</summary>
    public void Settle()
    {
        foreach (var asked in _world.History.Asked)
        {
            var groups = _logs.AcceptedBy(asked.Id);
            if (groups.Count > 1) _world.Violate("exactly once", $"{asked.Id} was accepted by {string.Join(" and by ", groups.Select(one => Print(one)))}");
            var of = groups.Count > 0 ? groups[0] : _world.Places.OwnOf(asked.Id, asked.Replicant) is { } own ? [own] : [.. asked.Sites];
            _world.History.OnCounted(asked.Id, of.Where(site => !_world.Places.Lost.Contains(site)), _world.Places.Lost);
        }
    }

    /// <summary>The sites that hold a thing, or would, were it not deleted.</summary>
    public IEnumerable<string> SitesOf(string thing, IReadOnlySet<string> asked)
    {
        if (_known.TryGetValue(thing, out var groups)) return _sitesOf[groups.Keys.First()];
        if (_logs.Moves.LastOrDefault(move => IsOf(move, thing)) is { } last) return last.To;
        return _world.Scenario.Things.TryGetValue(thing, out var first) ? first : asked;
    }

    /// <summary>Tells what is not as it was asked to be.</summary>
    public void Judge()
    {
        foreach (var (thing, groups) in _known)
        {
            if (groups.Count > 1) _world.Violate("at the same sites for all", $"{thing} is {string.Join(" and ", groups.Select(one => $"at {Print(_sitesOf[one.Key])} for {string.Join(", ", one.Value)}"))}");
            foreach (var (group, knowing) in groups)
            {
                var missing = _sitesOf[group].Where(name => !_world.Places.Lost.Contains(name) && !knowing.Contains(name)).ToArray();
                if (missing.Length > 0) _world.Violate("at the same sites for all", $"{thing} is at {Print(_sitesOf[group])}, and {string.Join(", ", missing)} does not know it");
            }
        }

        foreach (var thing in _world.Scenario.Things.Keys.Where(_world.Places.IsMoved)) JudgeRemoved(thing);
        foreach (var (thing, sites) in _world.Places.Told)
        {
            if (!_logs.Moves.Any(move => IsOf(move, thing) && move.To.SequenceEqual(sites)) && !_world.Scenario.Things[thing].SequenceEqual(sites))
                _world.Violate("moved means moved", $"{thing} was told to be at {Print(sites)}, which no group says");
        }
    }

    // Of each site the last move that it was removed by, unless it came back.
    private void JudgeRemoved(string thing)
    {
        foreach (var site in _sites)
        {
            if (_logs.Moves.LastOrDefault(move => IsOf(move, thing) && move.From.Contains(site.Name) != move.To.Contains(site.Name)) is not { } last || last.To.Contains(site.Name)) continue;
            var isThere = site.Service.Of(thing).Any();
            if (last.DeletesReplica && isThere) _world.Violate("removed as asked", $"{site.Name} was to delete its replica of {thing}, and has it still");
            if (last.DeletesReplica || isThere) continue;
            var deeds = _world.History.Applied.Where(one => one.Site == site.Name && one.Replicant == thing).Select(one => _world.DeedOf(one.Operation)).ToArray();
            if (deeds.Length > 0 && deeds[^1] != Deed.Delete) _world.Violate("removed as asked", $"{site.Name} was to keep its replica of {thing}, and has it no more");
        }
    }

    private bool IsOf(MoveOver move, string thing) =>
        _world.PathOf(thing) == $"{move.Key.Collection}/{move.Key.MetaId}" || (_things.TryGetValue((move.Key.Collection, move.Key.MetaId), out var known) && known == thing);

    private void Visit(Site site) => site.Replicator!.Replicants.Visit(record =>
    {
        var things = record.LocalIds.Select(id => _world.SiteNamed(id.Key).Service.Find(record.Key.Collection, id.Value)?.Key).OfType<string>();
        if (things.FirstOrDefault() is not { } thing) return true;
        _things[(record.Key.Collection, record.Key.MetaId)] = thing;
        var group = record.Group.ToString();
        _sitesOf[group] = site.Replicator.Find(record.Group)?.Founding.Sites ?? [];
        if (!_known.TryGetValue(thing, out var groups)) _known[thing] = groups = new(StringComparer.Ordinal);
        if (!groups.TryGetValue(group, out var knowing)) groups[group] = knowing = new(StringComparer.Ordinal);
        knowing.Add(site.Name);
        return true;
    });

    private static string Print(IEnumerable<string> sites) => string.Join(" & ", sites);
}
