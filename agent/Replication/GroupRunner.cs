using System.Collections.Concurrent;
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

    /// <summary>Where operations wait for their turn at this site's services.</summary>
    public required ServiceLines Lines { get; init; }

    /// <summary>The host of the groups, once it is open.</summary>
    public required Task<IGroupHost> Host { get; init; }

    /// <summary>Makes the table durable, with all that groups have made of it so far.</summary>
    public required Func<Task> Checkpoint { get; init; }

    /// <summary>Finds the runner of another group.</summary>
    public Func<GroupId, GroupRunner?> Find { get; init; } = static _ => null;

    /// <summary>Whether a site is one of the mesh.</summary>
    public Func<string, bool> IsOfMesh { get; init; } = static _ => true;

    /// <summary>Completes when services have carried out, or never will, what an earlier run of the agent had sent them.</summary>
    public required Task EarlierRunOver { get; init; }

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
internal sealed partial class GroupRunner : IGroupMachine
{
    private readonly GroupRunnerParts _parts;
    private readonly Lock _gate = new();
    private readonly List<Effect> _effects = [];
    private readonly HashSet<OperationId> _running = [];
    private readonly HashSet<OperationId> _begun = [];
    private readonly Dictionary<OperationId, Operation> _kept = [];
    private readonly Dictionary<OperationId, long> _retried = [];
    private readonly ConcurrentDictionary<OperationId, KeptAnswer?> _awaited = new();
    private readonly ConcurrentDictionary<OperationId, Verdict> _verdicts = new();
    private readonly ConcurrentDictionary<OperationId, string> _waits = new();
    private readonly ConcurrentDictionary<OperationId, string> _problems = new();
    private readonly Func<ReplicantKey, ReplicantMoves?>? _movesKept;
    private readonly OperationWaiters _waiters = new();
    private readonly PriorityQueue<TaskCompletionSource, long>[] _behindEarlier = [new(), new()];
    private readonly AppliedReports _reports;
    private GroupState _state;
    private TaskCompletionSource _changed = NewSignal();
    private long _keptSize;
    private long _replayFrom;
    private long _takenIndex;
    private int _carried;
    private bool _replayed;
    private volatile bool _isRemoved;
    private long _seenUntil;
    private long _forgottenUntil;
    private Task? _caughtUp;
    private IReplicaGroup? _group;

    /// <summary>Makes the runner of a group.</summary>
    /// <param name="founding">The group.</param>
    /// <param name="parts">What groups share.</param>
    /// <param name="replayFrom">Index from which the group's entries are to be applied again.</param>
    public GroupRunner(GroupFounding founding, GroupRunnerParts parts, long replayFrom)
    {
        (Founding, _parts, _replayFrom) = (founding, parts, replayFrom);
        _movesKept = parts.Replicants.HasMoves(founding.Id) ? key => parts.Replicants.MovesOf(founding.Id, key) : null;
        _state = new GroupState(parts.Site, founding.Sites, _movesKept, parts.Replicants.RemovedFrom(founding.Id));
        TakeRestored();
        parts.Journal.ForgetBefore(founding.Id, Math.Min(replayFrom, _state.OldestNeeded ?? replayFrom));
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

    /// <summary>Index up to which the table here knows what the group's entries made of it.</summary>
    public long Position => Math.Max(AppliedIndex, ReplayFrom - 1);

    /// <summary>Why operations are tried again that should not have to be, for a person; empty when there is none.</summary>
    public string Problem => _problems.Values.FirstOrDefault("");

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
            for (; _carried < _effects.Count; _carried++) Carry(_effects[_carried], index);
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

        if (entry is ProposedEntry proposed) Keep(proposed.Operation);

        // Once: what was tried again before a crash may have been executed since, and its note stands.
        if (entry is ResolvedEntry { How: Resolve.Retry } retry && retry.Site == _parts.Site)
        {
            _retried[retry.Id] = index;
            if (_replayed && index > _seenUntil) Unbegin(retry.Id);
        }

        _state.Apply(index, entry, _effects);
        if (entry is OpeningEntry opening) KeepCopies(opening, index);
    }

    private void Carry(Effect effect, long index)
    {
        switch (effect)
        {
            case ReplicantMade made when IsSite && !_state.LeavesAfter(made.Operation.Key, index):
                _parts.Replicants.Made(Founding.Id, made.Operation, made.Site, made.LocalId);
                break;
            case ReplicaMade made when IsSite:
                _parts.Replicants.ReplicaMade(Founding.Id, made.Operation, made.Site, made.LocalId);
                break;
            case ReplicantGone gone when IsSite:
                _parts.Replicants.Gone(Founding.Id, gone.Operation.Key);
                break;
            case Marked marked:
                _parts.Replicants.Keep(Founding.Id, marked.Moves);
                PulseAny();
                break;
            case ReplicantOpened opened when IsSite && !_state.LeavesAfter(opened.Record.Key, index):
                _parts.Replicants.Opened(Founding.Id, opened.Record, opened.From);
                break;
            case ReplicantHandedOver handed when _state.LeavesAfter(handed.Move.Key, handed.Move.Index - 1) && PositionOf(GroupId.Of(handed.Move.To.AsSpan())) >= handed.OpenedAt:
                _parts.Replicants.HandedOver(Founding.Id, GroupId.Of(handed.Move.To.AsSpan()), handed.Move.Key);
                break;
            case ReplicantLeft left when IsSite:
                _parts.Replicants.Gone(Founding.Id, left.Key);
                break;
            case SiteRemoved removed:
                _parts.Replicants.KeepRemoved(Founding.Id, removed.Site, removed.Index);
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

    private long PositionOf(GroupId other) => _parts.Find(other)?.Position ?? 0;

    private void StartAll()
    {
        foreach (var next in _state.AllHere().ToArray()) Start(next);
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
        LetCaughtUpGoOn();
    }

    /// <inheritdoc/>
    public void Forgot(long until)
    {
        lock (_gate) (_forgottenUntil, _caughtUp) = (Math.Max(until, _forgottenUntil), null);
    }

    /// <inheritdoc/>
    public ValueTask ReplayedAsync(long seenUntil)
    {
        lock (_gate)
        {
            (_replayed, _seenUntil) = (true, Math.Max(seenUntil, _seenUntil));
            BeginToSettle();
            StartAll();
        }

        return default;
    }
}
