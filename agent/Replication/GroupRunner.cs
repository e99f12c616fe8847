using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

/// <summary>What all groups of a site share.</summary>
internal sealed record GroupRunnerParts
{
    public required string Site { get; init; }

    public required Replicants Replicants { get; init; }

    public required Execution Execution { get; init; }

    public required Journal Journal { get; init; }

    public required Contents Contents { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>Bounds the operations under way at this site.</summary>
    public required SemaphoreSlim UnderWay { get; init; }

    /// <summary>The host of the groups, once it is open.</summary>
    public required Task<IGroupHost> Host { get; init; }

    /// <summary>Ends everything.</summary>
    public required CancellationToken Closing { get; init; }

    /// <summary>Told what a person should know of.</summary>
    public required Action<string> Warn { get; init; }
}

/// <summary>
/// Drives one group at this site: 1. a committed entry changes the state; 2. the table takes in what it made of the
/// replicants; 3. what is this site's to do is begun, each replicant's operations in order, different replicants in
/// parallel; 4. what came of it is proposed to the group, again until it is recorded.
/// </summary>
internal sealed class GroupRunner : IGroupMachine
{
    private readonly GroupRunnerParts _parts;
    private readonly Lock _gate = new();
    private readonly List<Effect> _effects = [];
    private readonly HashSet<OperationId> _running = [];
    private readonly HashSet<OperationId> _begun = [];
    private readonly Dictionary<OperationId, Operation> _kept = [];
    private readonly ConcurrentDictionary<OperationId, KeptAnswer?> _awaited = new();
    private readonly ConcurrentDictionary<OperationId, Verdict> _verdicts = new();
    private readonly ConcurrentDictionary<OperationId, string> _waits = new();
    private GroupState _state;
    private readonly OperationWaiters _waiters = new();
    private readonly AppliedReports _reports;
    private TaskCompletionSource _changed = NewSignal();
    private long _keptSize;
    private long _replayFrom;
    private long _takenIndex;
    private int _carried;
    private bool _replayed;
    private long _seenUntil;
    private Task? _caughtUp;
    private IReplicaGroup? _group;

    /// <summary>Makes the runner of a group.</summary>
    /// <param name="founding">The group.</param>
    /// <param name="parts">What groups share.</param>
    /// <param name="replayFrom">Index from which the group's entries are to be applied again.</param>
    public GroupRunner(GroupFounding founding, GroupRunnerParts parts, long replayFrom)
    {
        (Founding, _parts, _replayFrom) = (founding, parts, replayFrom);
        _state = new GroupState(parts.Site, founding.Sites);
        parts.Journal.ForgetBefore(founding.Id, replayFrom);
        _reports = new AppliedReports(parts.Site, entry => ProposeAsync(entry, () => !entry.Applied.Any(one => IsPendingHere(one.Id))), parts.Time);
    }

    /// <summary>The group that it drives.</summary>
    public GroupFounding Founding { get; }

    /// <summary>The group; null before it is open.</summary>
    public IReplicaGroup? Group => _group ??= _parts.Host.IsCompletedSuccessfully ? _parts.Host.Result.Find(Founding.Id) : null;

    // A machine is made, and may be told what to do, a moment before its group can be used.
    private async ValueTask<IReplicaGroup> GroupAsync()
    {
        await _parts.Host.OrCancelled(_parts.Closing);
        while (Group is null) await PauseAsync(Bounds.FollowPauseMinMs);
        return Group;
    }

    /// <inheritdoc/>
    public long ReplayFrom => Interlocked.Read(ref _replayFrom);

    /// <summary>Index of the last entry applied.</summary>
    public long AppliedIndex { get; private set; }

    private bool IsSite => Founding.Sites.Contains(_parts.Site);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    // ---- 1, 2: entries ------------------------------------------------------------------------------------------------

    /// <inheritdoc/>
    public ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay)
    {
        var decoded = GroupEntry.Decode(entry.ToArray());
        lock (_gate)
        {
            // An entry whose effects the table could not all take is given again: the state has it already.
            if (index != _takenIndex) Take(index, decoded);
            for (; _carried < _effects.Count; _carried++) Carry(_effects[_carried]);
            AppliedIndex = index;
        }

        return default;
    }

    private void Take(long index, GroupEntry? entry)
    {
        (_takenIndex, _carried) = (index, 0);
        _effects.Clear();
        if (entry is null)
        {
            _parts.Warn($"entry {index} of group {string.Join(" & ", Founding.Sites)} is not understood and was passed over: is this agent older than the others?");
            return;
        }

        if (entry is ProposedEntry proposed)
        {
            Keep(proposed.Operation);
            _parts.Contents.Need(proposed.Operation.BodyHash);
        }

        if (entry is ResolvedEntry { How: Resolve.Retry } retry && retry.Site == _parts.Site && index > _seenUntil) Unbegin(retry.Id);
        _state.Apply(index, entry, _effects);
    }

    private void Carry(Effect effect)
    {
        switch (effect)
        {
            case ReplicantMade made when IsSite:
                _parts.Replicants.Made(Founding.Id, made.Operation, made.Site, made.LocalId);
                break;
            case ReplicaMade made when IsSite:
                _parts.Replicants.ReplicaMade(Founding.Id, made.Operation, made.Site, made.LocalId);
                break;
            case ReplicantGone gone when IsSite:
                _parts.Replicants.Gone(Founding.Id, gone.Operation.Key);
                break;
            case CarryOut next when _replayed:
                Start(next);
                break;
            case Decided decided:
                Pulse(decided.Operation);
                break;
            case StepChanged changed:
                Pulse(changed.Operation);
                break;
            case Finished finished:
                Forget(finished.Operation);
                Pulse(finished.Operation);
                break;
        }
    }

    // Whoever has it tried again takes it on themselves that it was not executed.
    private void Unbegin(OperationId id)
    {
        _begun.Remove(id);
        _verdicts.TryRemove(id, out _);
        _parts.Journal.Forget(id);
    }

    private void Pulse(OperationState operation)
    {
        _waiters.Changed(operation.Id);
        PulseAny();
    }

    private void PulseAny()
    {
        var changed = _changed;
        _changed = NewSignal();
        changed.SetResult();
    }

    /// <inheritdoc/>
    public ValueTask ReplayedAsync(long seenUntil)
    {
        lock (_gate)
        {
            (_replayed, _seenUntil) = (true, Math.Max(seenUntil, _seenUntil));
            foreach (var next in _state.AllHere().ToArray()) Start(next);
        }

        return default;
    }

    // ---- what operations carry: kept in memory within a budget, else read again ----------------------------------------

    private void Keep(Operation operation)
    {
        var size = operation.Body.Length + operation.Fields.Length + 256;
        if (_keptSize + size > Bounds.OperationsKeptSizeMax || !_kept.TryAdd(operation.Id, operation)) return;
        _keptSize += size;
    }

    private void Forget(OperationState state)
    {
        if (!state.IsDiverged) _parts.Contents.Release(state.BodyHash);
        _verdicts.TryRemove(state.Id, out _);
        _begun.Remove(state.Id);
        if (_kept.Remove(state.Id, out var operation)) _keptSize -= operation.Body.Length + operation.Fields.Length + 256;
    }

    /// <summary>What an operation carries.</summary>
    /// <exception cref="IOException">The group's log does not hold it any more, or cannot be read.</exception>
    public async ValueTask<Operation> ReadAsync(OperationState state)
    {
        lock (_gate)
        {
            if (_kept.TryGetValue(state.Id, out var kept)) return kept;
        }

        var entry = await (await GroupAsync()).ReadAsync(state.Index, _parts.Closing);
        return GroupEntry.Decode(entry) is ProposedEntry proposed && proposed.Operation.Id == state.Id
            ? proposed.Operation
            : throw new IOException($"entry {state.Index} of the group's log is not the operation {state.Id}");
    }

    // ---- 3: carrying out ------------------------------------------------------------------------------------------------

    // What was in the log when the agent started, or was begun since, may have been executed by now: how far the group was
    // committed is not known after a crash, so that the end of the log is applied as if it were new.
    private void Start(CarryOut next)
    {
        var id = next.Operation.Id;
        if (_parts.Closing.IsCancellationRequested || !_running.Add(id)) return;
        var mayBeExecuted = !_begun.Add(id) || next.Operation.Index <= _seenUntil;
        _ = RunAsync(next, mayBeExecuted);
    }

    private async Task RunAsync(CarryOut next, bool mayBeExecuted)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var state = next.Operation;
        try
        {
            if (mayBeExecuted) await CaughtUpAsync();
            await _parts.UnderWay.WaitAsync();
            try
            {
                // What this site may have recorded in an earlier life must not count once it has looked anew.
                if (next.Decides && mayBeExecuted) await ClaimAsync(state);
                var claim = Look(_ => state.Claim);
                if (IsToDo(next))
                    await RecordAsync(state, next.Decides, await CarryOutAsync(next, mayBeExecuted), claim);
            }
            finally
            {
                _parts.UnderWay.Release();
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
                return;
            }
            catch (GroupException) when (!_parts.Closing.IsCancellationRequested)
            {
                await PauseAsync(pause);
            }
        }
    }

    private bool IsToDo(CarryOut what) => Look(state => state.NextHere(what.Operation) is { } next && next.Operation.Id == what.Operation.Id && next.Decides == what.Decides);

    // The deciding site may have been replaced meanwhile: then this site follows, and remembers what it did. A snapshot may
    // have replaced the state.
    private void Next(OperationState before)
    {
        lock (_gate)
        {
            _running.Remove(before.Id);
            var state = _state.TryFind(before.Id, out var now) ? now : before;
            if (_state.NextHere(state) is { } next) Start(next);
        }
    }

    private async Task<Verdict> CarryOutAsync(CarryOut next, bool mayBeExecuted)
    {
        var (state, decides) = next;
        if (_verdicts.TryGetValue(state.Id, out var before) && before.Kind == VerdictKind.Done) return before;
        var operation = await ReadAsync(state);
        var replicant = state.Key.MetaId.Length > 0 ? _parts.Replicants.Find(Founding.Id, state.Key) : null;
        var task = new ExecutionTask(
            Founding.Id, operation, state, replicant, decides, mayBeExecuted, () => EarlierDoneAsync(state), () => IsToDo(next), reason => _waits[state.Id] = reason);
        var verdict = decides ? await _parts.Execution.DecideAsync(task, _parts.Closing) : await _parts.Execution.FollowAsync(task, _parts.Closing);
        _verdicts[state.Id] = verdict;
        _waits.TryRemove(state.Id, out _);
        if (verdict.Answer is not null && _awaited.ContainsKey(state.Id)) _awaited[state.Id] = verdict.Answer;
        return verdict;
    }

    // A refusal at a site that has not caught up may only mean that what the operation builds on is not there yet.
    private async Task<bool> EarlierDoneAsync(OperationState state)
    {
        var waited = false;
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (!_state.Open.TakeWhile(one => one.Index < state.Index).Any(IsPendingHere)) return waited;
                changed = _changed.Task;
            }

            waited = true;
            await changed.OrCancelled(_parts.Closing);
        }
    }

    private bool IsPendingHere(OperationState one) => one.Decision == Decision.Accepted && one.StepAt(_parts.Site) == SiteStep.Pending;

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

    // ---- what others ask ----------------------------------------------------------------------------------------------

    /// <summary>Proposes an operation that came in here and waits until it is decided.</summary>
    /// <returns>The operation, and the answer for its client where this site decided it.</returns>
    /// <exception cref="GroupException">It was not proposed, or its fate is not known.</exception>
    /// <exception cref="OperationCanceledException">It is not decided yet.</exception>
    public async Task<(OperationState State, KeptAnswer? Answer)> SubmitAsync(Operation operation, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_state.OpenCount >= Bounds.OperationsPendingMax)
                throw new GroupException(GroupError.Busy, $"{_state.OpenCount} operations of this group are not finished at all sites");
        }

        _awaited[operation.Id] = null;
        try
        {
            await (await GroupAsync()).ProposeAsync(new ProposedEntry(operation).Encode(), cancellation);
            var state = await WaitAsync(operation.Id, static state => state.Decision is not null || state.Steps.Contains(SiteStep.InDoubt), cancellation);
            return (state, await MayAnswerAsync(state, cancellation) ? _awaited.GetValueOrDefault(operation.Id) : null);
        }
        finally
        {
            _awaited.TryRemove(operation.Id, out _);
        }
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

    /// <summary>Why an operation that this site follows was not done at the last try; null when there is nothing to say.</summary>
    public string? WhyWaiting(OperationId id) => _waits.GetValueOrDefault(id);

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

    /// <summary>Records how a person resolves what failed or is in doubt at a site.</summary>
    /// <exception cref="GroupException">It was not recorded.</exception>
    public async Task ResolveAsync(ResolvedEntry resolved, CancellationToken cancellation)
    {
        if (resolved.LocalId.Length > 0 && Look(state => state.TryFind(resolved.Id, out var one) && one.Key.MetaId.Length == 0 ? one : null) is { } unnamed)
            resolved = resolved with { MetaId = _parts.Execution.MetaIdFor(unnamed, resolved.LocalId) };
        await (await GroupAsync()).ProposeAsync(resolved.Encode(), cancellation);
    }

    // ---- checkpoints and snapshots -----------------------------------------------------------------------------------------

    /// <summary>The index from which entries must be applied again to a table as it is now.</summary>
    public long ReplayFromNow()
    {
        lock (_gate) return _state.OldestNeeded ?? Math.Max(AppliedIndex + 1, _replayFrom);
    }

    /// <summary>A checkpoint is durable: what lies before <paramref name="index"/> is not needed again.</summary>
    public void Checkpointed(long index)
    {
        Interlocked.Exchange(ref _replayFrom, index);
        _parts.Journal.ForgetBefore(Founding.Id, index);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        // All at one moment: what is applied while the pieces travel is in the entries that follow.
        ImmutableArray<OperationState> open;
        var records = new List<ReadOnlyMemory<byte>>();
        lock (_gate)
        {
            open = [.. _state.Open];
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id) records.Add(record.Encode());
                return true;
            });
        }

        foreach (var record in records) yield return new EntryWriter().Byte((byte)'R').Bytes(record.Span).Written;
        foreach (var state in open)
        {
            cancellation.ThrowIfCancellationRequested();
            var entry = new ProposedEntry(await ReadAsync(state)).Encode();
            var writer = new EntryWriter().Byte((byte)'O').Bytes(entry.Span);
            lock (_gate) state.Export(writer);
            yield return writer.Written;
        }
    }

    /// <inheritdoc/>
    public async ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default)
    {
        var records = new List<ReplicantRecord>();
        var state = new GroupState(_parts.Site, Founding.Sites);
        await foreach (var piece in pieces.WithCancellation(cancellation)) Import(piece.ToArray(), state, records);
        lock (_gate)
        {
            AppliedIndex = index;
            _state = state;
            var names = records.Select(record => record.Key).ToHashSet();
            var gone = new List<ReplicantKey>();
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id && !names.Contains(record.Key)) gone.Add(record.Key);
                return true;
            });
            foreach (var key in gone) _parts.Replicants.Gone(Founding.Id, key);
            foreach (var record in records) _parts.Replicants.Import(record);
            _waiters.AllChanged();
            PulseAny();
            _seenUntil = Math.Max(_seenUntil, index);
            if (!_replayed) return;
            foreach (var next in _state.AllHere().ToArray()) Start(next);
        }
    }

    private void Import(byte[] piece, GroupState into, List<ReplicantRecord> records)
    {
        var reader = new EntryReader(piece);
        var tag = reader.Byte();
        var bytes = reader.Bytes(Bounds.GroupEntrySizeMax);
        if (tag == (byte)'R' && ReplicantRecord.Decode(bytes) is { } record)
        {
            records.Add(record);
            return;
        }

        if (tag != (byte)'O' || GroupEntry.Decode(bytes) is not ProposedEntry proposed) throw new IOException("a piece of a snapshot is not understood");
        lock (_gate)
        {
            var state = OperationState.Import(ref reader, proposed.Operation, Founding.Sites) ?? throw new IOException("a piece of a snapshot is not understood");
            Keep(proposed.Operation);
            _parts.Contents.Need(proposed.Operation.BodyHash);
            into.Import(state);
        }
    }
}
