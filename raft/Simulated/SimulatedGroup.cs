using Cheops.Proto;

namespace Cheops.Raft.Simulated;

/// <summary>A group at one simulated site.</summary>
internal sealed class SimulatedGroup : IReplicaGroup
{
    private readonly SimulatedGroups _groups;
    private readonly SimulatedGroupHost _host;
    private readonly IGroupMachine _machine;
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private readonly long _replayUntil;
    private readonly long _seenUntil;
    private long _applied;
    private bool _isReplayed;
    private bool _isApplying;

    /// <summary>Makes one whose machine has been given nothing yet. The gate is held.</summary>
    public SimulatedGroup(SimulatedGroups groups, SimulatedGroupHost host, SharedGroup shared, IGroupMachine machine)
    {
        (_groups, _host, Shared, _machine) = (groups, host, shared, machine);
        _applied = machine.ReplayFrom - 1;

        // What the machine has durably made of entries was in the log: of a log that has lost its end, what comes after is gone.
        _seenUntil = shared.Known[host.Site] = Math.Max(shared.Known[host.Site], _applied);
        _replayUntil = groups.Faults.ForgetsCommit ? _applied : _seenUntil;
        if (shared.LetInAt.TryGetValue(host.Site, out var letIn)) machine.Forgot(letIn);
    }

    public SharedGroup Shared { get; }

    public string Site => _host.Site;

    public GroupFounding Founding => Shared.Founding;

    public GroupStatus Status
    {
        get
        {
            lock (_groups.Gate)
            {
                var problem = _groups.HasMajority(Shared, Site) ? "" : "no majority is reached";
                return new GroupStatus(
                    Shared.Leader, true, Shared.Term, Shared.Generation, Known, Known, _applied, problem)
                {
                    Removed = [.. Shared.Founding.Voters.Except(Shared.Voters)],
                };
            }
        }
    }

    private long Known => Shared.Known[Site];

    public void Replay() => _ = ApplyAsync();

    /// <summary>What the machine may have done for entries up to here is not known any more.</summary>
    public void Forgot(long until) => _machine.Forgot(until);

    /// <summary>The site learns how far the group is committed.</summary>
    public void Learn(long index)
    {
        lock (_groups.Gate)
        {
            if (_host.IsClosed) return;
            Shared.Known[Site] = Math.Max(Known, index);
        }

        _ = ApplyAsync();
    }

    public async ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation = default)
    {
        if (entry.Length > Bounds.GroupEntrySizeMax)
            throw new GroupException(GroupError.TooLarge, $"an entry has at most {Bounds.GroupEntrySizeMax} bytes, not {entry.Length}");
        await ReachMajorityAsync(cancellation);
        long index;
        lock (_groups.Gate)
        {
            if (Shared.Leader is null || !_groups.Reaches(Site, Shared.Leader)) Elect(Site);
            if (_groups.IsLeaderLost())
            {
                if (_groups.Tosses()) Shared.Commit(entry);
                Elect(Site);
                index = 0;
            }
            else
            {
                index = Shared.Commit(entry);
                if (drawsLead) ChooseLeader();
            }
        }

        _groups.CatchUp();
        if (index == 0) throw new GroupException(GroupError.Unknown, "the leader was lost", false);
        await AppliedAsync(index, cancellation);
        return index;
    }

    public ValueTask<ReadOnlyMemory<byte>> ReadAsync(long index, CancellationToken cancellation = default)
    {
        lock (_groups.Gate)
        {
            return index >= _machine.ReplayFrom - 1 && index <= _applied && Shared[index] is { } entry
                ? ValueTask.FromResult<ReadOnlyMemory<byte>>(entry)
                : throw new GroupException(GroupError.Closed, $"entry {index} is not held");
        }
    }

    public async ValueTask BarrierAsync(CancellationToken cancellation = default)
    {
        await ReachMajorityAsync(cancellation);
        long index;
        lock (_groups.Gate) index = Shared.LastIndex;
        _groups.CatchUp();
        await AppliedAsync(index, cancellation);
    }

    public async ValueTask LeadAsync(string site, CancellationToken cancellation = default)
    {
        if (!Founding.Sites.Contains(site)) throw new GroupException(GroupError.NotMember, $"{site} is none of the group's sites");
        await ReachMajorityAsync(cancellation);
        lock (_groups.Gate)
        {
            if (!_groups.Reaches(Site, site) || Shared.IsStranger(site)) throw new GroupException(GroupError.NoMajority, $"{site} is not reached");
            if (!string.Equals(Shared.Leader, site, StringComparison.Ordinal)) Elect(site);
            Shared.Choice.Asked(Now);
        }

        _groups.CatchUp();
    }

    private TimeSpan Now => _groups.Time.GetElapsedTime(0);

    private void Elect(string site)
    {
        Shared.Elect(site);
        Shared.Choice.Stay(Now);
    }

    // This site has sent an operation. The gate is held.
    private void ChooseLeader()
    {
        Shared.Choice.Count(Site, Now);
        if (Shared.Choice.Better(Shared.Leader!, Now) is { } better && Shared.Voters.Contains(better) && !Shared.IsStranger(better) && _groups.Reaches(Shared.Leader!, better)) Elect(better);
    }

    private async ValueTask ReachMajorityAsync(CancellationToken cancellation)
    {
        var begun = _groups.Time.GetTimestamp();
        while (true)
        {
            await _groups.DelayAsync(cancellation);
            if (_host.IsClosed) throw new GroupException(GroupError.Closed, $"{Site} is down");
            lock (_groups.Gate)
            {
                if (!Shared.Voters.Contains(Site)) throw new GroupException(GroupError.NotMember, $"{Site} was removed");
                if (_groups.HasMajority(Shared, Site)) return;
            }

            if (_groups.Time.GetElapsedTime(begun) >= _groups.Faults.ProposeTimeMax)
                throw new GroupException(GroupError.NoMajority, "no majority is reached");
        }
    }

    private async ValueTask AppliedAsync(long index, CancellationToken cancellation)
    {
        Task applied;
        lock (_groups.Gate)
        {
            if (index <= _applied) return;
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, index);
            applied = waiter.Task;
        }

        try
        {
            await applied.OrCancelled(_groups.Faults.ProposeTimeMax, _groups.Time, cancellation);
        }
        catch (TimeoutException e)
        {
            throw new GroupException(GroupError.Unknown, $"entry {index} was not applied here in time", false, e);
        }
    }

    private byte[][] SeenOnly()
    {
        lock (_groups.Gate)
            return [.. Enumerable.Range(0, (int)(_seenUntil - _replayUntil)).Select(at => Shared[_replayUntil + 1 + at]).OfType<byte[]>()];
    }

    private async Task ApplyAsync()
    {
        lock (_groups.Gate)
        {
            if (_isApplying) return;
            _isApplying = true;
        }

        while (await ApplyNextAsync())
        {
            // One after the other.
        }
    }

    private async ValueTask<bool> ApplyNextAsync()
    {
        if (!_isReplayed && _applied >= _replayUntil)
        {
            _isReplayed = true;
            foreach (var seen in SeenOnly()) await _machine.SeenAsync(seen);
            await _machine.ReplayedAsync(_seenUntil);
        }

        long index;
        byte[]? entry;
        lock (_groups.Gate)
        {
            index = _applied + 1;
            if (_host.IsClosed || index > Known)
            {
                _isApplying = false;
                return false;
            }

            entry = Shared[index];
        }

        if (entry is not null) await _machine.ApplyAsync(index, entry, index <= _replayUntil);
        lock (_groups.Gate)
        {
            _applied = index;
            while (_waiters.TryPeek(out _, out var awaited) && awaited <= index) _waiters.Dequeue().TrySetResult();
        }

        return true;
    }
}
