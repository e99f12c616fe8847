using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// The state machine of a replicant group, as one of its sites sees it. Pure: an entry goes in, the state changes, effects
/// come out. The same entries give the same state at every site; the effects are those of <paramref name="self"/>.
/// </summary>
/// <remarks>
/// Operations on one replicant form a queue in log order. At each site the first of them that is not done there is carried
/// out: by its deciding site while it is undecided, by every other site once it is accepted. A refused one leaves the queue.
/// Invariants: an operation has one decision, the first that its deciding site recorded; a site carries an operation out only
/// when all before it on the same replicant are done there.
/// </remarks>
/// <param name="self">This site; a witness carries nothing out.</param>
/// <param name="sites">The sites that hold replicas.</param>
/// <param name="kept">Finds the marks that the table has of a replicant's moves; null where none has ever moved.</param>
/// <param name="removed">The sites that the table knows as removed, each with the index of the entry that did it; null for none.</param>
public sealed partial class GroupState(
    string self, ImmutableArray<string> sites, Func<ReplicantKey, ReplicantMoves?>? kept = null, IReadOnlyDictionary<string, long>? removed = null)
{
    private readonly Dictionary<OperationId, OperationState> _operations = [];
    private readonly Dictionary<ReplicantKey, List<OperationState>> _queues = [];
    private readonly Queue<OperationState> _finished = [];
    private readonly SortedDictionary<(long Index, int Part), OperationState> _open = [];
    private readonly Moves _moves = new(self, kept ?? (static _ => null));

    /// <summary>Operations that are not finished, or have diverged; oldest first.</summary>
    public IEnumerable<OperationState> Open => _open.Values;

    /// <summary>How many operations are not finished, or have diverged.</summary>
    public int OpenCount => _open.Count;

    /// <summary>The last operations that were finished, oldest first.</summary>
    public IEnumerable<OperationState> RecentlyFinished => _finished;

    /// <summary>Index of the oldest entry that an open operation, or a move that is not over, still needs; null for none.</summary>
    public long? OldestNeeded => (_open.Count == 0 ? null : (long?)_open.First().Key.Index, _moves.OldestOpen) switch
    {
        ({ } operation, { } move) => Math.Min(operation, move),
        var (operation, move) => operation ?? move,
    };

    /// <summary>Finds an operation that is open or was finished lately.</summary>
    public bool TryFind(OperationId id, [NotNullWhen(true)] out OperationState? operation) => _operations.TryGetValue(id, out operation);

    /// <summary>The operations on a replicant that are not finished at all sites, in order.</summary>
    public IReadOnlyList<OperationState> QueueOf(ReplicantKey key) => _queues.TryGetValue(key, out var queue) ? queue : [];

    /// <summary>Takes one committed entry.</summary>
    /// <param name="index">Its index in the log.</param>
    /// <param name="entry">The entry.</param>
    /// <param name="effects">What it asks of this site is added here.</param>
    public void Apply(long index, GroupEntry entry, List<Effect> effects)
    {
        switch (entry)
        {
            case ProposedEntry proposed:
                Propose(index, proposed.Operation, effects);
                break;
            case OutcomeEntry outcome:
                Decide(outcome, effects);
                break;
            case AppliedEntry applied:
                Follow(applied, effects);
                break;
            case AppliedManyEntry many:
                foreach (var (id, answer) in many.Applied) Follow(new AppliedEntry(id, many.Site, SiteResult.Applied, answer), effects);
                break;
            case DeciderEntry decider:
                Replace(index, decider, effects);
                break;
            case ResolvedEntry resolved:
                Settle(resolved, effects);
                break;
            case ClosingEntry closing:
                Close(index, closing, effects);
                break;
            case OpeningEntry opening:
                Begin(index, opening, effects);
                break;
            case MovedEntry moved:
                End(index, moved, effects);
                break;
            case FreedEntry freed:
                Free(index, freed, effects);
                break;
            case RemovedEntry gone:
                Remove(index, gone, effects);
                break;
        }
    }

    private void Propose(long index, Operation operation, List<Effect> effects)
    {
        // A proposal whose answer was lost is made again: the same id is the same operation.
        if (_operations.ContainsKey(operation.Id)) return;
        var state = new OperationState(operation, index, DeciderOf(operation, index), sites);
        if (_moves.IsAway(state.Key, index))
        {
            PassOn(state, effects);
            return;
        }

        Add(state, index);
        CarryOutNext(state, effects);
    }

    private void Add(OperationState state, long index)
    {
        LeaveOutRemoved(state, index);
        _operations[state.Id] = state;
        _open[(state.Index, state.Part)] = state;
        var key = QueueKey(state);
        if (!_queues.TryGetValue(key, out var queue)) _queues[key] = queue = [];

        // A deletion that the end of a move brings has its place where the move began: the replicant may be back by then.
        var at = state.Index < index ? queue.FindIndex(one => one.Index > state.Index) : -1;
        if (at < 0) queue.Add(state);
        else queue.Insert(at, state);
        Track(state);
    }

    // A create whose id the service chooses waits alone: nobody can name its replicant yet.
    private static ReplicantKey QueueKey(OperationState state) =>
        state.Key.MetaId.Length > 0 ? state.Key : state.Key with { MetaId = $"\0{state.Id}" };

    private void Decide(OutcomeEntry outcome, List<Effect> effects)
    {
        if (!_operations.TryGetValue(outcome.Id, out var state) || state.Decision is not null) return;
        if (state.Decider != outcome.Site || state.Claim != outcome.Claim) return;
        state.Decision = outcome.Decision;
        if (outcome.Decision == Decision.Accepted) Accept(state, outcome.Site, outcome.MetaId, outcome.Answer, effects);
        else Refuse(state, outcome.Answer, effects);
    }

    private void Accept(OperationState state, string site, string metaId, ServiceResult answer, List<Effect> effects)
    {
        if (state.Key.MetaId.Length == 0 && metaId.Length > 0)
        {
            var waiting = _queues.Remove(QueueKey(state), out var alone) ? alone : [state];
            state.Key = state.Key with { MetaId = metaId };
            if (_queues.TryGetValue(state.Key, out var queue)) queue.AddRange(waiting);
            else _queues[state.Key] = waiting;
        }

        state.SetAccepted();
        state.Set(site, SiteStep.Applied, answer);
        if (state.Kind == OperationKind.Create) effects.Add(new ReplicantMade(state, site, LocalIdOf(state, answer)));
        effects.Add(new Decided(state));
        AfterStep(state, site, effects);
    }

    private void Refuse(OperationState state, ServiceResult answer, List<Effect> effects)
    {
        state.SetRefused();
        state.Set(state.Decider, SiteStep.Skipped, answer);
        effects.Add(new Decided(state));
        if (state.IsFinished) Leave(state, effects);
        else CarryOutNext(state, effects);
    }

    private static string LocalIdOf(OperationState state, ServiceResult answer) => answer.LocalId.Length > 0 ? answer.LocalId : state.Key.MetaId;

    private void Follow(AppliedEntry applied, List<Effect> effects)
    {
        if (!_operations.TryGetValue(applied.Id, out var state) || state.StepAt(applied.Site) is not (SiteStep.Pending or SiteStep.InDoubt)) return;

        // Undecided, only doubt can be told: what was done is told by an outcome.
        if (state.Decision is null && (applied.Result != SiteResult.InDoubt || state.Decider != applied.Site)) return;
        var step = applied.Result switch
        {
            SiteResult.Applied => SiteStep.Applied,
            SiteResult.Failed => SiteStep.Failed,
            SiteResult.Skipped => SiteStep.Skipped,
            _ => SiteStep.InDoubt,
        };
        Step(state, applied.Site, step, applied.Answer, effects);
    }

    private void Step(OperationState state, string site, SiteStep step, ServiceResult answer, List<Effect> effects)
    {
        state.Set(site, step, answer);
        if (step == SiteStep.Applied && state.Kind == OperationKind.Create) effects.Add(new ReplicaMade(state, site, LocalIdOf(state, answer)));
        AfterStep(state, site, effects);
    }

    private void Replace(long index, DeciderEntry decider, List<Effect> effects)
    {
        if (!_operations.TryGetValue(decider.Id, out var state)) return;
        if (state.Decision is not null || state.Decider != decider.Before || !sites.Contains(decider.Now) || IsRemoved(decider.Now, index)) return;

        // What was in doubt at the one before is looked at anew by the one that decides now.
        state.Set(decider.Before, SiteStep.Replaced, null);
        LetDecide(state, decider.Now, index);
        effects.Add(new StepChanged(state));
        CarryOutNext(state, effects);
    }

    private static void LetDecide(OperationState state, string site, long index)
    {
        (state.Decider, state.Claim) = (site, index);
        if (state.StepAt(site) == SiteStep.Replaced) state.Set(site, SiteStep.Pending, null);
    }

    private void Settle(ResolvedEntry resolved, List<Effect> effects)
    {
        if (!_operations.TryGetValue(resolved.Id, out var state)) return;
        if (state.StepAt(resolved.Site) is not (SiteStep.Failed or SiteStep.InDoubt)) return;
        if (resolved.How == Resolve.Retry)
        {
            Reopen(state, resolved.Site, effects);
            return;
        }

        var answer = (state.AnswerAt(resolved.Site) ?? new ServiceResult(0, "", "")) with { LocalId = resolved.LocalId };
        if (resolved.How == Resolve.Done) Done(state, resolved, answer, effects);
        else if (state.Decision is null) NotExecuted(state, answer, effects);
        else Step(state, resolved.Site, SiteStep.Skipped, answer, effects);
    }

    private void NotExecuted(OperationState state, ServiceResult answer, List<Effect> effects)
    {
        state.Decision = Decision.NotExecuted;
        Refuse(state, answer, effects);
    }

    private void Done(OperationState state, ResolvedEntry resolved, ServiceResult answer, List<Effect> effects)
    {
        if (state.Decision is not null)
        {
            Step(state, resolved.Site, SiteStep.Applied, answer, effects);
            return;
        }

        // Without an id nobody could name what was created.
        if (state.Key.MetaId.Length == 0 && resolved.MetaId.Length == 0) return;
        state.Decision = Decision.Accepted;
        Accept(state, resolved.Site, resolved.MetaId, answer, effects);
    }

    // What failed had let later operations pass; tried again, it comes after them, since that is when a person asked.
    private void Reopen(OperationState state, string site, List<Effect> effects)
    {
        state.Set(site, SiteStep.Pending, null);
        var key = QueueKey(state);
        if (!_queues.TryGetValue(key, out var queue)) _queues[key] = queue = [];
        if (!queue.Contains(state)) queue.Add(state);
        Track(state);
        effects.Add(new StepChanged(state));
        CarryOutNext(state, effects);
    }

    private void AfterStep(OperationState state, string site, List<Effect> effects)
    {
        effects.Add(new StepChanged(state));
        Track(state);
        if (site == self && state.Kind == OperationKind.Delete && state.StepAt(self) is SiteStep.Applied && !IsMadeAnew(state))
            effects.Add(new ReplicantGone(state));
        if (state.IsFinished) Leave(state, effects);
        else
        {
            LeaveIfDone(state.Key, effects);
            CarryOutNext(state, effects);
        }
    }

    private bool IsMadeAnew(OperationState delete)
    {
        var queue = QueueOf(QueueKey(delete));
        return queue.Any(one => one.Index > delete.Index && one is { Kind: OperationKind.Create, Decision: Decision.Accepted });
    }

    private void Leave(OperationState state, List<Effect> effects)
    {
        var key = QueueKey(state);
        if (_queues.TryGetValue(key, out var queue))
        {
            queue.Remove(state);
            if (queue.Count == 0) _queues.Remove(key);
        }

        if (!state.IsDiverged) Close(state);
        effects.Add(new Finished(state));
        LeaveIfDone(state.Key, effects);
        if (queue is { Count: > 0 }) CarryOutNext(queue[0], effects);
    }

    private void Close(OperationState state)
    {
        _open.Remove((state.Index, state.Part));
        Track(state);
        Finish(state);
    }

    private void Finish(OperationState state)
    {
        _finished.Enqueue(state);
        if (_finished.Count > Bounds.OperationsFinishedKept) _operations.Remove(_finished.Dequeue().Id);
    }

    private void CarryOutNext(OperationState onReplicant, List<Effect> effects)
    {
        if (NextHere(onReplicant) is { } next) effects.Add(next);
    }

    /// <summary>What this site is to do next for the replicant of an operation; null while there is nothing, or it must wait.</summary>
    public CarryOut? NextHere(OperationState onReplicant)
    {
        if (!sites.Contains(self) || !_queues.TryGetValue(QueueKey(onReplicant), out var queue)) return null;
        foreach (var operation in queue)
        {
            switch (operation.StepAt(self))
            {
                case SiteStep.InDoubt or SiteStep.Replaced:
                    return null;
                case SiteStep.Pending:
                    if (IsHeld(operation.Key, operation.Index)) return null;
                    if (operation.Decision is null) return operation.Decider == self ? new CarryOut(operation, Decides: true) : null;
                    return new CarryOut(operation, Decides: false);
            }
        }

        return null;
    }

    /// <summary>Everything that this site is to do, after a start.</summary>
    public IEnumerable<CarryOut> AllHere() => _queues.Values.Select(queue => NextHere(queue[0])).OfType<CarryOut>();

    /// <summary>The undecided operations of a site that is to decide, oldest first.</summary>
    public IEnumerable<OperationState> UndecidedAt(string site) => Open.Where(one => one.Decision is null && one.Decider == site);

    /// <summary>Takes in an operation from a snapshot.</summary>
    internal void Import(OperationState state)
    {
        if (state.IsFinished && !state.IsDiverged) return;
        _operations[state.Id] = state;
        _open[(state.Index, state.Part)] = state;
        if (state.IsFinished) return;
        var key = QueueKey(state);
        if (!_queues.TryGetValue(key, out var queue)) _queues[key] = queue = [];
        queue.Add(state);
        Track(state);
    }
}
