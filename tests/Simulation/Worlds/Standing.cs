using Cheops.Tests.Simulation.Checkers;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Looks where everything stands in the end, in a world in which sites come and go; <see cref="StandingJudge"/> judges it.</summary>
internal sealed class Standing
{
    private readonly World _world;
    private readonly GroupLogs _logs;
    private readonly Standings _found;
    private readonly StandingJudge _judge;
    private readonly Dictionary<(string Collection, string MetaId), string> _things = [];

    public Standing(World world, IReadOnlyCollection<Site> sites)
    {
        (_world, _logs) = (world, new GroupLogs(GroupLog.Of(world.Groups)));
        _found = new Standings
        {
            Sites = [.. sites.Select(site => site.Name)],
            Lost = world.Places.Lost,
            First = world.Scenario.Things,
            Changed = [.. world.Scenario.Things.Keys.Where(world.Places.IsMoved)],
            Told = world.Places.Told,
        };
        _judge = new StandingJudge(_found);
        foreach (var site in sites.Where(site => site.Replicator is not null)) Visit(site);
        foreach (var thing in world.Scenario.Things.Keys.Union(world.History.Asked.Select(asked => asked.Replicant)))
            _found.Moves[thing] = [.. _logs.Moves.Where(move => IsOf(move, thing)).Select(move => new MovedThing(move.From, move.To, move.DeletesReplica))];
        foreach (var thing in _found.Changed) Visit(thing, sites);
    }

    /// <summary>Writes into the history for which sites each operation counts.</summary>
    public void Settle()
    {
        foreach (var asked in _world.History.Asked)
        {
            var groups = _logs.AcceptedBy(asked.Id);
            if (StandingJudge.JudgeAccepted(asked.Id, groups) is { } wrong) _world.Violate(wrong.Promise, wrong.Detail);
            _world.History.OnCounted(asked.Id, _judge.CountsFor(asked, groups, _world.Places.OwnOf(asked.Id, asked.Replicant)), _world.Places.Lost);
        }
    }

    /// <inheritdoc cref="StandingJudge.SitesOf"/>
    public IEnumerable<string> SitesOf(string thing, IReadOnlySet<string> asked) => _judge.SitesOf(thing, asked);

    /// <summary>Tells what is not as it was asked to be.</summary>
    public void Judge()
    {
        foreach (var wrong in _judge.Judge()) _world.Violate(wrong.Promise, wrong.Detail);
    }

    private bool IsOf(MoveOver move, string thing) =>
        _world.PathOf(thing) == $"{move.Key.Collection}/{move.Key.MetaId}" || (_things.TryGetValue((move.Key.Collection, move.Key.MetaId), out var known) && known == thing);

    private void Visit(Site site) => site.Replicator!.Replicants.Visit(record =>
    {
        var things = record.LocalIds.Select(id => _world.SiteNamed(id.Key).Service.Find(record.Key.Collection, id.Value)?.Key).OfType<string>();
        if (things.FirstOrDefault() is not { } thing) return true;
        _things[(record.Key.Collection, record.Key.MetaId)] = thing;
        var group = record.Group.ToString();
        _found.SitesOfGroup[group] = site.Replicator.Find(record.Group)?.Founding.Sites ?? [];
        if (!_found.Known.TryGetValue(thing, out var groups)) _found.Known[thing] = groups = new(StringComparer.Ordinal);
        if (!groups.TryGetValue(group, out var knowing)) groups[group] = knowing = new(StringComparer.Ordinal);
        knowing.Add(site.Name);
        return true;
    });

    private void Visit(string thing, IReadOnlyCollection<Site> sites)
    {
        foreach (var site in sites)
        {
            if (site.Service.Of(thing).Any()) _found.Held.Add((site.Name, thing));
            if (_world.History.Applied.LastOrDefault(one => one.Site == site.Name && one.Replicant == thing) is { } last)
                _found.EndsDeleted[(site.Name, thing)] = _world.DeedOf(last.Operation) == Deed.Delete;
        }
    }
}
