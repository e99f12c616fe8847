using System.Collections.Immutable;
using Cheops.Proto.Operations;
using Cheops.Raft.Founding;

namespace Cheops.Raft.Simulated;

/// <summary>The in-memory twin of <see cref="GroupHost"/>: one site of <see cref="SimulatedGroups"/>. Disposing of it is the site's crash.</summary>
public sealed class SimulatedGroupHost : IGroupHost
{
    private readonly SimulatedGroups _groups;
    private readonly Func<GroupFounding, IGroupMachine> _machines;
    private readonly Dictionary<GroupId, SimulatedGroup> _here = [];

    internal SimulatedGroupHost(SimulatedGroups groups, string site, Func<GroupFounding, IGroupMachine> machines) =>
        (_groups, Site, _machines) = (groups, site, machines);

    /// <summary>This site.</summary>
    public string Site { get; }

    /// <summary>Whether the site has crashed.</summary>
    public bool IsClosed { get; private set; }

    /// <inheritdoc/>
    public ImmutableArray<IReplicaGroup> Groups
    {
        get
        {
            lock (_groups.Gate) return [.. _here.Values];
        }
    }

    /// <inheritdoc/>
    public IReplicaGroup? Find(GroupId id)
    {
        lock (_groups.Gate) return FindHere(id);
    }

    /// <inheritdoc/>
    public async ValueTask<IReplicaGroup> FoundAsync(ImmutableArray<string> sites, string? witness, CancellationToken cancellation = default)
    {
        var founding = FoundingCheck.Of(Site, sites, witness);
        await _groups.DelayAsync(cancellation);
        SharedGroup? group;
        lock (_groups.Gate) group = _groups.FindOrFound(founding, Site);
        if (group is null) throw new GroupException(GroupError.NotFounded, $"the group of {string.Join(", ", sites)} is not founded: too few are reached");
        _groups.OpenEverywhere(group);
        return Find(founding.Id)!;
    }

    /// <inheritdoc/>
    public async ValueTask RemoveSiteAsync(string site, CancellationToken cancellation = default)
    {
        await _groups.DelayAsync(cancellation);
        foreach (var group in _groups.GroupsOf(site).Where(g => g.Voters.Contains(Site)))
        {
            lock (_groups.Gate)
            {
                var there = group.Voters.Count(v => !string.Equals(v, site, StringComparison.Ordinal) && _groups.Reaches(Site, v));
                if (there < Math.Min(group.Voters.Length - 1, (group.Voters.Length / 2) + 1))
                    throw new GroupException(GroupError.NoMajority, $"group {group.Founding.Id} has no majority without {site}");
                group.Remove(site);
            }
        }

        _groups.CatchUp();
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        IsClosed = true;
        _groups.Leave(this);
        return ValueTask.CompletedTask;
    }

    internal SimulatedGroup? FindHere(GroupId id) => _here.GetValueOrDefault(id);

    internal void Open(SharedGroup group)
    {
        SimulatedGroup opened;
        lock (_groups.Gate)
        {
            if (_here.ContainsKey(group.Founding.Id)) return;
            opened = new SimulatedGroup(_groups, this, group, _machines(group.Founding));
            _here.Add(group.Founding.Id, opened);
        }

        opened.Replay();
    }
}
