using Cheops.Agent.Interception;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- what others ask ----------------------------------------------------------------------------------------------

    /// <summary>Proposes an operation that came in here and waits until it is decided.</summary>
    /// <returns>The operation, and the answer for its client where this site decided it.</returns>
    /// <exception cref="GroupException">It was not proposed, or its fate is not known.</exception>
    /// <exception cref="OperationCanceledException">It is not decided yet.</exception>
    public async Task<(OperationState State, KeptAnswer? Answer)> SubmitAsync(Operation operation, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_state.OpenCount >= Bounds.OperationsPendingMax) throw new GroupException(GroupError.Busy, DescribeBacklog());
        }

        _awaited[operation.Id] = null;
        try
        {
            await (await GroupAsync()).ProposeAsync(new ProposedEntry(operation).Encode(), drawsLead: true, cancellation);
            var state = await WaitAsync(operation.Id, static state => state.Decision is not null || state.Steps.Contains(SiteStep.InDoubt), cancellation);
            return (state, await MayAnswerAsync(state, cancellation) ? _awaited.GetValueOrDefault(operation.Id) : null);
        }
        finally
        {
            _awaited.TryRemove(operation.Id, out _);
        }
    }

    private string DescribeBacklog()
    {
        var oldest = _state.Open.First();
        var left = oldest.Sites.Where(site => oldest.IsOpenAt(site) || oldest.StepAt(site) == SiteStep.Failed);
        return $"{_state.OpenCount} operations of the group {string.Join(" & ", Founding.Sites)} are not finished at all sites, and no more are taken until some are: "
            + $"the oldest, {oldest.Id}, is left at {string.Join(", ", left)}. Bring back the site or its service, let 'cheops sites remove' leave out a site that will "
            + "not come back, or resolve what failed or is in doubt ('cheops operations')";
    }

    // What the service here answered is the client's when this site has decided. Where another one did, this one follows: the
    // answer is right, and its ids are known, when that is recorded.
    private async Task<bool> MayAnswerAsync(OperationState state, CancellationToken cancellation)
    {
        if (state.Decision != Decision.Accepted || state.Decider == _parts.Site || !IsSite) return state.Decider == _parts.Site;
        try
        {
            return (await WaitAsync(state.Id, one => one.StepAt(_parts.Site) != SiteStep.Pending, cancellation)).StepAt(_parts.Site) == SiteStep.Applied;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Waits until an operation is as asked, or is not known any more.</summary>
    public async Task<OperationState> WaitAsync(OperationId id, Func<OperationState, bool> isSo, CancellationToken cancellation)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (!_state.TryFind(id, out var state)) throw new GroupException(GroupError.Unknown, $"the operation {id} is not known");
                if (isSo(state)) return state;
                changed = _waiters.ChangeOf(id);
            }

            await changed.OrCancelled(cancellation);
        }
    }

    /// <summary>Why an operation that this site follows was not done at the last try, or was not tried; null when there is nothing to say.</summary>
    public string? WhyWaiting(OperationState operation) =>
        _waits.GetValueOrDefault(operation.Id) ?? WhyHeld(Look(state => state.WaitsFor(operation))) ?? _parts.Lines.Of(operation.Key.Service).WhyNotReached;

    private string? WhyHeld(FormerSite? last) => last is null ? null
        : $"what was asked of {_parts.Site} in the group of {string.Join(" & ", last.Sites)}, where it had the replicant before, is not all done here"
        + (_parts.Find(GroupId.Of(last.Sites.AsSpan())) is null ? $", and {_parts.Site} has lost what it knew of that group: bring back another site of it, or take out of the mesh those that will not come back" : "");

    /// <summary>Looks at the state; nothing of it may be kept.</summary>
    public T Look<T>(Func<GroupState, T> look)
    {
        lock (_gate) return look(_state);
    }

    /// <summary>Makes this site, or another that is there, decide what a silent site has left undecided.</summary>
    public async Task ReplaceDeciderAsync(string silent, string now)
    {
        OperationId[] left;
        lock (_gate) left = [.. _state.UndecidedAt(silent).Select(one => one.Id)];
        foreach (var id in left)
        {
            _parts.Warn($"{silent} is silent: {now} decides operation {id}");
            await (await GroupAsync()).ProposeAsync(new DeciderEntry(id, silent, now).Encode(), _parts.Closing);
        }
    }

    /// <summary>Proposes an entry that is not an operation.</summary>
    /// <exception cref="GroupException">It was not recorded, or that is not known.</exception>
    public async Task ProposeAsync(GroupEntry entry, CancellationToken cancellation) => await (await GroupAsync()).ProposeAsync(entry.Encode(), cancellation);

    /// <summary>Records in the log which sites were removed from the group, as far as that is not recorded yet.</summary>
    /// <exception cref="GroupException">It was not recorded, or that is not known.</exception>
    public async Task RecordRemovedAsync(CancellationToken cancellation)
    {
        foreach (var gone in Group!.Status.Removed.Where(site => Founding.Sites.Contains(site) && !Look(state => state.Removed.ContainsKey(site))))
            await ProposeAsync(new RemovedEntry(gone), cancellation);
    }

    /// <summary>Lets this site's operations go on that waited for those of earlier groups.</summary>
    public void ReleaseDrained()
    {
        foreach (var (key, opened) in Look(state => state.Held))
        {
            if (!IsOver(key, opened)) continue;
            lock (_gate)
            {
                if (_state.Release(key, opened) is { } next && _replayed) Start(next);
            }
        }
    }

    // A group that this site has lost, and of which no site is left to tell it, asks nothing of it any more; nor does one from which
    // it was removed.
    private bool IsOver(ReplicantKey key, MoveMark opened)
    {
        var last = opened.LastAt(_parts.Site)!;
        if (_parts.Find(GroupId.Of(last.Sites.AsSpan())) is not { } earlier) return !last.Sites.Any(one => one != _parts.Site && _parts.IsOfMesh(one));
        return earlier.IsRemovedHere()
            ? earlier.Look(state => !state.QueueOf(key).Any(one => earlier._running.Contains(one.Id)))
            : earlier.Look(state => earlier.Position >= last.ClosedAt && state.IsOver(key, opened));
    }

    // Then nothing that was asked of it there is carried out any more: nobody waits for it, and nothing could be recorded.
    private bool IsRemovedHere() => _isRemoved |= Group?.Status.Removed.Contains(_parts.Site) == true;

    /// <summary>Whether this site has done everything on a replicant that was proposed before an entry.</summary>
    public bool IsDrained(ReplicantKey key, long before) => Look(state => Position >= before && state.IsDrained(key, before, _parts.Site));

    /// <summary>Completes when something in the state has changed since the call.</summary>
    public Task Changed => Look(_ => _changed.Task);

    /// <summary>Records how a person resolves what failed or is in doubt at a site.</summary>
    /// <exception cref="GroupException">It was not recorded.</exception>
    public async Task ResolveAsync(ResolvedEntry resolved, CancellationToken cancellation)
    {
        if (resolved.LocalId.Length > 0 && Look(state => state.TryFind(resolved.Id, out var one) && one.Key.MetaId.Length == 0 ? one : null) is { } unnamed)
            resolved = resolved with { MetaId = _parts.Execution.MetaIdFor(unnamed, resolved.LocalId) };
        await (await GroupAsync()).ProposeAsync(resolved.Encode(), cancellation);
    }
}
