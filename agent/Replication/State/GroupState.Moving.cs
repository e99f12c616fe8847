using System.Collections.Immutable;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// Replicants that move to another set of sites, and so to another group. 1. A closing entry in the log of the group before:
/// what is proposed later is passed on. 2. An opening entry in the log of the group after, by a site of both that has done
/// all that was proposed before. 3. A moved entry in the first log: the sites that are left out let go of the replicant.
/// </summary>
/// <remarks>
/// The two logs do not advance together at a site. What a site of both has to do in the second waits there until all of
/// the first is done (<see cref="Release"/>), so that the order at each site is: all before the closing, then all after the opening.
/// A site that is added again may still have to do what was asked of it where it had the replicant last, which may be groups ago, and
/// which it may not even know of yet: each opening says where that was (<see cref="FormerAfter"/>), and the copy waits for it there.
/// </remarks>
public sealed partial class GroupState
{
    private readonly Dictionary<ReplicantKey, long> _leaving = [];
    private readonly HashSet<(ReplicantKey Key, MoveMark Opened)> _held = [];

    /// <summary>Moves that are not over, oldest first.</summary>
    public IEnumerable<MoveState> Moving => _moves.Open;

    /// <summary>Replicants whose operations wait here until those of an earlier group are done; with the opening that says which.</summary>
    public ImmutableArray<(ReplicantKey Key, MoveMark Opened)> Held => [.. _held];

    /// <summary>The move of a replicant that is not over; null for none.</summary>
    public MoveState? MoveOf(ReplicantKey key) => _moves.OpenOf(key);

    /// <summary>The last thing that is known of a replicant's comings and goings; null for nothing.</summary>
    public MoveMark? LastMarkOf(ReplicantKey key) => _moves.MarksOf(key).LastOrDefault(mark => mark.Kind != MoveMarkKind.CalledOff);

    /// <summary>How the opening of a move was settled in this group; null while it is not.</summary>
    public MoveMark? SettledOf(ReplicantKey key, OperationId move) => _moves.SettledBefore(key, move, long.MaxValue);

    /// <summary>Whether the replicant leaves this group after an entry: what it has made of the table is another group's by now.</summary>
    public bool LeavesAfter(ReplicantKey key, long index) => _moves.LeavesAfter(key, index);

    /// <summary>
    /// Whether a site has done everything on a replicant that was proposed before an entry, as far as the log says; of this
    /// site, also in the groups before this one.
    /// </summary>
    /// <remarks>Nothing may have been proposed here: then no operation waits for those of the group before, and this asks for them.</remarks>
    public bool IsDrained(ReplicantKey key, long before, string site)
    {
        if (QueueOf(key).Any(one => one.Index < before && one.IsOpenAt(site))) return false;
        return site != self || !IsHeld(key, before - 1);
    }

    /// <summary>
    /// Whether this site has done in this group all for which the operations after an opening in another one wait: what was
    /// proposed before the replicant left, and where this site was left out, also its deletion.
    /// </summary>
    /// <remarks>This site must know the closing entry.</remarks>
    public bool IsOver(ReplicantKey key, MoveMark opened) => opened.LastAt(self) is { } last
        && (opened.OtherSites.Contains(self) ? IsDrained(key, last.ClosedAt, self) : !_moves.IsOpen(last.ClosedAt) && IsDrained(key, last.ClosedAt + 1, self));

    /// <summary>What the opening of a move from this group has to say of the sites that had the replicant before, and of those that it leaves.</summary>
    public ImmutableArray<FormerSite> FormerAfter(MoveState move)
    {
        var before = _moves.OpenedBefore(move.Key, move.Index)?.Former ?? [];
        var left = move.From.Where(site => !move.To.Contains(site)).Select(site => new FormerSite(site, move.From, move.Index));
        return [.. before.Where(one => !move.From.Contains(one.Site)).Concat(left).TakeLast(Bounds.FormerSitesMax)];
    }

    /// <summary>Where what was asked of this site is not all done, for which an operation waits here; null when it waits for nothing like that.</summary>
    public FormerSite? WaitsFor(OperationState operation) =>
        operation.StepAt(self) == SiteStep.Pending && IsHeld(operation.Key, operation.Index) ? _moves.HeldBy(operation.Key, operation.Index)?.LastAt(self) : null;

    /// <summary>Whether the application of a site has refused an operation on a replicant: its replica is not what the others are.</summary>
    public bool HasDiverged(ReplicantKey key, string site) => _open.Values.Any(one => one.Key == key && one.StepAt(site) == SiteStep.Failed);

    /// <summary>All operations of the earlier group are done here: those of this one may be.</summary>
    /// <returns>What this site is to do now.</returns>
    public CarryOut? Release(ReplicantKey key, MoveMark opened)
    {
        _held.Remove((key, opened));
        _moves.Release(key, opened);
        return _queues.TryGetValue(key, out var queue) ? NextHere(queue[0]) : null;
    }

    private bool IsHeld(ReplicantKey key, long index)
    {
        if (_moves.HeldBy(key, index) is not { } opened) return false;

        // Where this group itself had it, what is to be done stands before it in the queue, when the move is over that brings the deletion.
        var last = opened.LastAt(self)!;
        if (last.Sites.SequenceEqual(sites)) return _moves.IsOpen(last.ClosedAt) || IsHeld(key, last.ClosedAt);
        _held.Add((key, opened));
        return true;
    }

    // 1.
    private void Close(long index, ClosingEntry closing, List<Effect> effects)
    {
        var key = closing.Move.Replicant;
        if (_moves.OpenOf(key) is not null || _moves.IsAway(key, index) || !closing.Sites.Any(sites.Contains) || closing.Sites.SequenceEqual(sites)) return;
        _moves.Begin(new MoveState(index, closing, sites));
        Mark(key, new MoveMark(index, MoveMarkKind.Closed, closing.Move.Id, GroupId.Of(closing.Sites.AsSpan()), closing.Sites, 0), effects);
    }

    // Whether what has left still lives, and would be made a second time, this log alone does not tell.
    private void Free(long index, FreedEntry freed, List<Effect> effects)
    {
        if (_moves.OpenOf(freed.Key) is not null || _moves.LastBefore(freed.Key, index) is not { Kind: MoveMarkKind.Closed } left || left.Move != freed.Move) return;
        Mark(freed.Key, new MoveMark(index, MoveMarkKind.Returned, default, default, [], 0), effects);
    }

    private void PassOn(OperationState state, List<Effect> effects)
    {
        state.Decision = Decision.Moved;
        state.SetAll(SiteStep.Skipped);
        _operations[state.Id] = state;
        effects.Add(new Decided(state));
        Finish(state);
        effects.Add(new Finished(state));
    }

    // 2.
    private void Begin(long index, OpeningEntry opening, List<Effect> effects)
    {
        var key = opening.Key;
        if (_moves.SettledBefore(key, opening.Move, index) is not null) return;
        var kind = opening.Record is null ? MoveMarkKind.CalledOff : MoveMarkKind.Opened;
        Mark(key, new MoveMark(index, kind, opening.Move, opening.From, opening.FromSites, opening.ClosedAt) { Former = opening.Former }, effects);
        if (opening.Record is not { } record) return;
        effects.Add(new ReplicantOpened(record, opening.From));
        for (var part = 0; part < opening.Copies.Length; part++)
        {
            var copy = opening.Copies[part];
            if (_operations.ContainsKey(copy.Id)) continue;
            var state = new OperationState(copy, index, copy.Origin, sites) { Part = part, Decision = Decision.Accepted, Makes = record.CreatedBy };
            foreach (var there in opening.FromSites) state.Set(there, SiteStep.Applied, null);
            Add(state, index);
            if (part == 0) CarryOutNext(state, effects);
            if (state.IsFinished) Leave(state, effects);
        }
    }

    // 3.
    private void End(long index, MovedEntry moved, List<Effect> effects)
    {
        if (!_moves.TryEnd(moved.Move, out var move)) return;
        if (moved.OpenedAt == 0)
        {
            Mark(move.Key, new MoveMark(index, MoveMarkKind.Returned, move.Id, default, [], 0), effects);
            return;
        }

        effects.Add(new Marked(new ReplicantMoves(move.Key, _moves.MarksOf(move.Key))));
        if (sites.Contains(self) && move.To.Contains(self)) effects.Add(new ReplicantHandedOver(move, moved.OpenedAt));
        if (move.Closing.DeletesReplica) DeleteReplicas(index, move, effects);
        else if (sites.Contains(self) && !move.To.Contains(self)) _leaving[move.Key] = move.Index;
        LeaveIfDone(move.Key, effects);
        if (QueueOf(move.Key) is [var first, ..]) CarryOutNext(first, effects);
    }

    private void DeleteReplicas(long index, MoveState move, List<Effect> effects)
    {
        if (_operations.ContainsKey(move.Id)) return;
        var state = new OperationState(move.Closing.Deletion, move.Index, move.Closing.Move.Origin, sites) { Decision = Decision.Accepted };
        foreach (var staying in move.Staying) state.Set(staying, SiteStep.Skipped, null);
        if (state.IsFinished) return;
        Add(state, index);
        if (state.IsFinished) Leave(state, effects);
    }

    // It may be back by then, and what the table has is what came back.
    private void LeaveIfDone(ReplicantKey key, List<Effect> effects)
    {
        if (_leaving.Count == 0 || !_leaving.TryGetValue(key, out var closedAt) || QueueOf(key).Any(one => one.IsOpenAt(self))) return;
        _leaving.Remove(key);
        if (_moves.OpenedBefore(key, long.MaxValue) is not { } opened || opened.Index < closedAt) effects.Add(new ReplicantLeft(key));
    }

    private void Mark(ReplicantKey key, MoveMark mark, List<Effect> effects)
    {
        _moves.Add(key, mark);
        effects.Add(new Marked(new ReplicantMoves(key, _moves.MarksOf(key))));
    }

    /// <summary>Takes in a move that is not over, and a replicant's marks, from a snapshot.</summary>
    internal void Import(long index, ClosingEntry closing) => _moves.Begin(new MoveState(index, closing, sites));

    /// <inheritdoc cref="Import(long, ClosingEntry)"/>
    internal void Import(ReplicantMoves moves) => _moves.Import(moves);
}
