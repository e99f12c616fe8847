using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- 3: carrying out ------------------------------------------------------------------------------------------------

    // What was in the log when the agent started, or was begun since, may have been executed by now: how far the group was
    // committed is not known after a crash, so that the end of the log is applied as if it were new.
    private void Start(CarryOut next)
    {
        var id = next.Operation.Id;
        if (_parts.Closing.IsCancellationRequested || _isRemoved || !_running.Add(id)) return;
        var mayBeExecuted = !_begun.Add(id) || next.Operation.Index <= Math.Max(_seenUntil, _forgottenUntil);
        _ = RunAsync(next, mayBeExecuted);
    }

    private async Task RunAsync(CarryOut next, bool mayBeExecuted)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var state = next.Operation;
        try
        {
            if (mayBeExecuted)
            {
                await CaughtUpAsync();
                await _parts.EarlierRunOver;
            }

            // What this site may have recorded in an earlier life must not count once it has looked anew.
            if (next.Decides && mayBeExecuted) await ClaimAsync(state);
            var claim = Look(_ => state.Claim);
            if (IsToDo(next))
            {
                if (state.IsRefused) await TellAsync(next, mayBeExecuted);
                else await RecordAsync(state, next.Decides, await CarryOutAsync(next, mayBeExecuted), claim);
            }
        }
        catch (Exception) when (_parts.Closing.IsCancellationRequested)
        {
            return;
        }
        catch (OperationCanceledException)
        {
            // It was recorded meanwhile, and is not this site's to do any more.
        }
#pragma warning disable CA1031 // Whatever happened, the operation is this site's to carry out: it is tried again.
        catch (Exception e)
#pragma warning restore CA1031
        {
            // What is not the disk's, the group's or the service's is a mistake of ours: it stays in sight until it is gone.
            _problems[state.Id] = $"operation {state.Id}: {e.Message}";
            _parts.Warn($"operation {state.Id} on {state.Key}: {(e is IOException ? e.Message : e.ToString())}; it is tried again");
            await Task.Delay(TimeSpan.FromMilliseconds(Bounds.FollowPauseMaxMs), _parts.Time, CancellationToken.None);
        }

        Next(state);
    }

    // After a crash, what this site has recorded may be applied a moment after what it was recorded of: once all is applied
    // that a majority has committed, what is still to do really is.
    private Task CaughtUpAsync()
    {
        lock (_gate) return _caughtUp ??= CatchUpAsync();
    }

    private async Task CatchUpAsync()
    {
        for (var pause = Bounds.FollowPauseMinMs; ; pause = Math.Min(pause * 2, Bounds.FollowPauseMaxMs))
        {
            try
            {
                await (await GroupAsync()).BarrierAsync(_parts.Closing);
                _behind = null;
                return;
            }
            catch (IOException e) when (!_parts.Closing.IsCancellationRequested)
            {
                // Also a disk that is full, at a site that is alone by now: nothing is known as long as it is.
                _behind = e.Message;
                await PauseAsync(pause);
            }
        }
    }

    private bool IsToDo(CarryOut what) => Look(state => !_isRemoved && state.NextHere(what.Operation) is { } next && next.Operation.Id == what.Operation.Id && next.Decides == what.Decides);

    // The deciding site may have been replaced meanwhile: then this site follows, and remembers what it did. A snapshot may
    // have replaced the state.
    private void Next(OperationState before)
    {
        lock (_gate)
        {
            _running.Remove(before.Id);
            _waits.TryRemove(before.Id, out _);
            var state = _state.TryFind(before.Id, out var now) ? now : before;
            if (_replayed && _state.NextHere(state) is { } next) Start(next);
        }
    }

    private async Task<Verdict> CarryOutAsync(CarryOut next, bool mayBeExecuted)
    {
        var state = next.Operation;
        if (_verdicts.TryGetValue(state.Id, out var before) && before.Kind == VerdictKind.Done) return before;
        var verdict = await TryAsync(next, mayBeExecuted);
        if (verdict.Answer is not null && _awaited.ContainsKey(state.Id)) _awaited[state.Id] = verdict.Answer;
        _waits.TryRemove(state.Id, out _);

        // The answer is its client's: what is kept until all sites are done is only what came of it.
        return _verdicts[state.Id] = verdict with { Answer = null };
    }

    // Each try has a turn at the service, and what the operation carries is in memory for as long; nothing is held while it waits.
    private async Task<Verdict> TryAsync(CarryOut next, bool mayBeExecuted)
    {
        var state = next.Operation;
        var line = _parts.Lines.Of(state.Key.Service);
        var course = new Course(_parts.Time.GetTimestamp(), mayBeExecuted);
        while (true)
        {
            // Nobody waits here for what is decided in the place of another site.
            var isAwaited = next.Decides && !state.IsTakenOver;
            Tried tried;
            using (var turn = isAwaited ? await line.DecideAsync() : await line.FollowAsync())
            {
                if (!IsToDo(next)) throw new OperationCanceledException();
                if (turn is null && course.MayBeExecuted) continue;
                tried = turn is null ? new Tried(Execution.NoTurn(state)) : await _parts.Execution.TryAsync(await TaskOfAsync(next, mayBeExecuted), course, _parts.Closing);
            }

            if (tried.Verdict is { } verdict) return verdict;

            // Whoever decides does not wait for what turned out to wait for a service that is not reached.
            lock (_gate) LetCaughtUpGoOn();
            if (tried.AfterEarlier) await CaughtUpBeforeAsync(state.Index, next.Decides);
            else if (isAwaited || line.WhyNotReached is null) await line.PauseAsync(course.NextPause());
        }
    }

    // Another site, which decided in the place of this one, had it refused: what was carried out here is for a person to take back.
    private async Task TellAsync(CarryOut next, bool mayBeExecuted)
    {
        var (id, site) = (next.Operation.Id, _parts.Site);
        ServiceResult? done = null;
        if (mayBeExecuted)
        {
            using (await _parts.Lines.Of(next.Operation.Key.Service).FollowAsync())
                done = await _parts.Execution.FindExecutedAsync(await TaskOfAsync(next, mayBeExecuted), _verdicts.GetValueOrDefault(id), _parts.Closing);
        }

        if (done is not null) _parts.Warn($"operation {id} on {next.Operation.Key} is in doubt at {site}: {done.Excerpt}; 'cheops operations' shows it");
        var told = done is null ? new AppliedEntry(id, site, SiteResult.Skipped, new ServiceResult(0, "", "")) : new AppliedEntry(id, site, SiteResult.InDoubt, done);
        await ProposeAsync(told, () => next.Operation.StepAt(site) != SiteStep.Pending);
    }

    private async Task<ExecutionTask> TaskOfAsync(CarryOut next, bool mayBeExecuted)
    {
        var (state, decides) = next;
        var operation = await ReadAsync(state);
        var replicant = state.Key.MetaId.Length > 0 ? _parts.Replicants.Find(Founding.Id, state.Key) ?? _parts.Replicants.Find(state.Key) : null;
        return new ExecutionTask(
            Founding.Id, operation, state, replicant, decides, mayBeExecuted, () => IsCaughtUp(state.Index, decides), () => IsToDo(next), reason => _waits[state.Id] = reason)
        {
            Holders = Look(group => state.Sites.Where(member => !group.Removed.ContainsKey(member)).ToArray()),

            // Since a person had it tried again, what is noted here tells.
            IsForgotten = mayBeExecuted && Look(_ => state.Index <= _forgottenUntil && _retried.GetValueOrDefault(state.Id) <= _forgottenUntil),
        };
    }

    // ---- waiting for what was accepted before ---------------------------------------------------------------------------

    // A refusal at a site that has not caught up may only mean that what the operation builds on is not there yet. Of a service that
    // is not reached nobody knows when it is: whoever decides, and has a client that waits, takes the refusal as it is.
    private bool IsCaughtUp(long index, bool decides) =>
        Look(state => state.IsCaughtUp(index, decides ? service => _parts.Lines.Of(service).WhyNotReached is null : static _ => true));

    private Task CaughtUpBeforeAsync(long index, bool decides)
    {
        lock (_gate)
        {
            if (IsCaughtUp(index, decides)) return Task.CompletedTask;
            var caughtUp = NewSignal();
            _behindEarlier[decides ? 1 : 0].Enqueue(caughtUp, index);
            return caughtUp.Task.OrCancelled(_parts.Closing);
        }
    }

    private void LetCaughtUpGoOn()
    {
        for (var decides = 0; decides < 2; decides++)
        {
            var waiting = _behindEarlier[decides];
            while (waiting.TryPeek(out _, out var index) && IsCaughtUp(index, decides == 1)) waiting.Dequeue().SetResult();
        }
    }

    // ---- 4: recording ---------------------------------------------------------------------------------------------------

    private Task ClaimAsync(OperationState state)
    {
        var before = Look(_ => state.Claim);
        return ProposeAsync(new DeciderEntry(state.Id, _parts.Site, _parts.Site), () => state.Claim != before || state.Decision is not null || state.Decider != _parts.Site);
    }

    private Task RecordAsync(OperationState state, bool decides, Verdict verdict, long claim)
    {
        if (!decides && verdict is { Kind: VerdictKind.Done, Result.Excerpt: "" } && Look(now => now.QueueOf(state.Key).Count <= 1))
            return _reports.AddAsync(state.Id, verdict.Result);
        GroupEntry entry = decides && verdict.Decision is { } decision
            ? new OutcomeEntry(state.Id, _parts.Site, decision, verdict.MetaId, verdict.Result, claim)
            : new AppliedEntry(state.Id, _parts.Site, verdict.SiteResult, verdict.Result);
        return ProposeAsync(entry, () => decides ? state.Decision is not null || state.Decider != _parts.Site : state.StepAt(_parts.Site) != SiteStep.Pending);
    }

    private bool IsPendingHere(OperationId id) => _state.TryFind(id, out var state) && state.StepAt(_parts.Site) == SiteStep.Pending;

    // Entries of this kind are as good as once when they come twice, so that one whose fate is unknown is proposed again.
    private async Task ProposeAsync(GroupEntry entry, Func<bool> isRecorded)
    {
        var bytes = entry.Encode();
        for (var pause = Bounds.FollowPauseMinMs; ; pause = Math.Min(pause * 2, Bounds.FollowPauseMaxMs))
        {
            try
            {
                await (await GroupAsync()).ProposeAsync(bytes, _parts.Closing);
                return;
            }
            catch (GroupException) when (!_parts.Closing.IsCancellationRequested)
            {
                await PauseAsync(pause);
            }

            lock (_gate)
            {
                if (isRecorded()) return;
            }
        }
    }

    private Task PauseAsync(int ms) => Task.Delay(TimeSpan.FromMilliseconds(ms), _parts.Time, _parts.Closing);
}
