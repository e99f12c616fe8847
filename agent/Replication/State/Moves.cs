using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// Which replicants of a group have come and gone, and which are on their way. What the group's log said up to an index is
/// told by marks with lower indices: marks may be there already when entries are applied again.
/// </summary>
/// <param name="self">This site.</param>
/// <param name="kept">Finds the marks that the table has of a replicant.</param>
internal sealed class Moves(string self, Func<ReplicantKey, ReplicantMoves?> kept)
{
    private readonly Dictionary<ReplicantKey, ImmutableArray<MoveMark>> _marks = [];
    private readonly SortedDictionary<long, MoveState> _open = [];
    private readonly HashSet<(ReplicantKey Key, long Opened)> _drained = [];

    /// <summary>Moves that are not over, oldest first.</summary>
    public IEnumerable<MoveState> Open => _open.Values;

    /// <summary>Index of the oldest of them; null for none.</summary>
    public long? OldestOpen => _open.Count == 0 ? null : _open.First().Key;

    /// <summary>Whether the move that a closing entry began is not over.</summary>
    public bool IsOpen(long closedAt) => _open.ContainsKey(closedAt);

    /// <summary>The move of a replicant that is not over; null for none.</summary>
    public MoveState? OpenOf(ReplicantKey key) => _open.Values.FirstOrDefault(move => move.Key == key);

    /// <summary>The marks of a replicant, oldest first.</summary>
    public ImmutableArray<MoveMark> MarksOf(ReplicantKey key)
    {
        if (!_marks.TryGetValue(key, out var marks) && kept(key) is { } known) _marks[key] = marks = known.Marks;
        return marks.IsDefault ? [] : marks;
    }

    /// <summary>Whether the replicant has left before an entry; what is proposed on it there is another group's.</summary>
    public bool IsAway(ReplicantKey key, long index) => LastBefore(key, index) is { Kind: MoveMarkKind.Closed };

    /// <summary>The last coming or going before an entry; null for none.</summary>
    public MoveMark? LastBefore(ReplicantKey key, long index) => MarksOf(key).LastOrDefault(mark => mark.Index < index && mark.Kind != MoveMarkKind.CalledOff);

    /// <summary>Whether the replicant has left after an entry, and is not back.</summary>
    public bool LeavesAfter(ReplicantKey key, long index) =>
        MarksOf(key).LastOrDefault(mark => mark.Kind != MoveMarkKind.CalledOff) is { Kind: MoveMarkKind.Closed } last && last.Index > index;

    /// <summary>How the opening of a move was settled here before an entry; null while it is not.</summary>
    public MoveMark? SettledBefore(ReplicantKey key, OperationId move, long index) =>
        MarksOf(key).FirstOrDefault(mark => mark.Index < index && mark.Move == move && mark.Kind is MoveMarkKind.Opened or MoveMarkKind.CalledOff);

    /// <summary>
    /// The opening after which an operation waits here, since this site may still have to carry out what was proposed in the
    /// group before, or where it had the replicant last; null when there is none.
    /// </summary>
    /// <param name="key">The replicant.</param>
    /// <param name="index">Index of the operation: a replicant may have come more than once.</param>
    public MoveMark? HeldBy(ReplicantKey key, long index) =>
        OpenedBefore(key, index + 1) is { } opened && opened.LastAt(self) is not null && !_drained.Contains((key, opened.Index)) ? opened : null;

    /// <summary>The last opening before an entry; null for none.</summary>
    public MoveMark? OpenedBefore(ReplicantKey key, long index) => OpenedBefore(MarksOf(key), index);

    private static MoveMark? OpenedBefore(ImmutableArray<MoveMark> marks, long index) => marks.LastOrDefault(mark => mark.Kind == MoveMarkKind.Opened && mark.Index < index);

    /// <summary>All for which the operations after an opening wait is done here.</summary>
    public void Release(ReplicantKey key, MoveMark opened) => _drained.Add((key, opened.Index));

    /// <summary>Notes a mark; once, also when its entry is applied again. The last opening stays: it says which sites had the replicant before.</summary>
    public void Add(ReplicantKey key, MoveMark mark)
    {
        var marks = MarksOf(key);
        if (marks.Any(known => known.Index == mark.Index)) return;
        marks = [.. marks.Add(mark).OrderBy(one => one.Index)];
        _marks[key] = marks.Length > Bounds.MoveMarksKept ? marks.RemoveAt(marks[0] == OpenedBefore(marks, long.MaxValue) ? 1 : 0) : marks;
    }

    /// <summary>Takes in marks from a snapshot.</summary>
    public void Import(ReplicantMoves moves) => _marks[moves.Key] = moves.Marks;

    /// <summary>A move begins.</summary>
    public void Begin(MoveState move) => _open[move.Index] = move;

    /// <summary>A move is over.</summary>
    public bool TryEnd(OperationId id, [NotNullWhen(true)] out MoveState? move)
    {
        move = _open.Values.FirstOrDefault(one => one.Id == id);
        return move is not null && _open.Remove(move.Index);
    }
}
