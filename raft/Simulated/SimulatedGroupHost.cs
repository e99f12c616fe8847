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
    public bool IsRoomShort => false;

    /// <inheritdoc/>
    public string DiskProblem => "";

    /// <inheritdoc/>
    public Task ReclaimAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public IReplicaGroup? Find(GroupId id)
    {
        lock (_groups.Gate) return FindHere(id);
    }

    /// <inheritdoc/>
    public async ValueTask<string?> ChooseWitnessAsync(
        ImmutableArray<string> sites, ImmutableArray<string> candidates, CancellationToken cancellation = default)
    {
        await _groups.DelayAsync(cancellation);
        return candidates.FirstOrDefault(one => _groups.HostReached(Site, one) is not null) ?? candidates.FirstOrDefault(_groups.WasThere);
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
    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAsync(string site, CancellationToken cancellation = default)
    {
        if (string.Equals(site, Site, StringComparison.Ordinal)) throw new GroupException(GroupError.NotMember, "a site does not remove itself");
        await _groups.DelayAsync(cancellation);
        var removals = _groups.RemoveFromAll(site, Site);
        _groups.CatchUp();
        return [.. removals.OrderBy(one => string.Join('&', one.Sites), StringComparer.Ordinal)];
    }

    /// <inheritdoc/>
    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAtAsync(
        string at, string site, bool evenIfUp, CancellationToken cancellation = default)
    {
        await _groups.DelayAsync(cancellation);
        if (_groups.HostReached(Site, at) is not { } there) throw new GroupException(GroupError.Unknown, $"{at} did not answer", false);
        if (!evenIfUp && _groups.HostReached(at, site) is not null) throw new GroupException(GroupError.NotMember, $"{at} refuses: {site} is up there");
        return await there.RemoveSiteAsync(site, cancellation);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        IsClosed = true;
        _groups.Leave(this);
        return ValueTask.CompletedTask;
    }

    internal SimulatedGroup? FindHere(GroupId id) => _here.GetValueOrDefault(id);

    /// <summary>The others have let this site in again.</summary>
    internal void LetIn(SharedGroup group)
    {
        if (FindHere(group.Founding.Id) is { } open) open.Forgot(group.LetInAt[Site]);
        else Open(group);
    }

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
