using Cheops.Agent.Replication;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Operations;

/// <summary>
/// What the agent itself keeps, and takes from another site's snapshot: any bytes are understood or refused, what is understood
/// can be taken in, and is written again.
/// </summary>
internal sealed class SnapshotTarget : IFuzzTarget
{
    private static readonly Func<ReadOnlyMemory<byte>, int>[] Checks = [CheckPiece, CheckMark, CheckNote];

    public string Name => "snapshot";

    public string Purpose => "pieces of snapshots, marks of checkpoints, notes of the journal: understood or refused, written as read";

    public IEnumerable<byte[]> Seeds =>
    [
        Seed(CheckPiece, SnapshotPiece.Of(RecordSamples.Replicant)),
        Seed(CheckPiece, SnapshotPiece.Of(RecordSamples.Moves)),
        Seed(CheckPiece, SnapshotPiece.Of("Site2", 7)),
        Seed(CheckPiece, SnapshotPiece.Of(RecordSamples.Closing, 7)),
        .. States().Select(state => Seed(CheckPiece, SnapshotPiece.Of(RecordSamples.Operation, state.Export()))),
        Seed(CheckMark, CheckpointMark.Write([(new GroupId(3), 7), (new GroupId(4), 8)])),
        Seed(CheckNote, Journal.Encode(RecordSamples.Operation.Id, new Journal.Note(new GroupId(3), 7, 0, 0, ""))),
        Seed(CheckNote, Journal.Encode(RecordSamples.Operation.Id, new Journal.Note(new GroupId(3), 7, 0, 201, "local-7"))),
    ];

    public IReadOnlyList<byte[]> Words { get; } = [.. RecordSamples.Words, "R"u8.ToArray(), "M"u8.ToArray(), "X"u8.ToArray(), "C"u8.ToArray(), "O"u8.ToArray()];

    // One that nobody has decided, one that is done at a site and failed at another, one that is refused.
    private static IEnumerable<OperationState> States()
    {
        var operation = RecordSamples.Operation;
        yield return Applied();
        yield return Applied(
            new OutcomeEntry(operation.Id, "Site1", Decision.Accepted, "", new ServiceResult(201, "a", "")), new AppliedEntry(operation.Id, "Site2", SiteResult.Failed, new ServiceResult(409, "", "there is one")));
        yield return Applied(new DeciderEntry(operation.Id, "Site1", "Site2"), new OutcomeEntry(operation.Id, "Site2", Decision.Refused, "", new ServiceResult(400, "", "no"), Claim: 2));

        OperationState Applied(params GroupEntry[] entries)
        {
            var group = new GroupState("Site3", RecordSamples.Sites);
            group.Apply(1, new ProposedEntry(operation), []);
            for (var i = 0; i < entries.Length; i++) group.Apply(i + 2, entries[i], []);
            return group.TryFind(operation.Id, out var state) ? state : throw new FuzzException("a seed's operation is over");
        }
    }

    private static byte[] Seed(Func<ReadOnlyMemory<byte>, int> check, ReadOnlyMemory<byte> bytes) => [(byte)Array.IndexOf(Checks, check), .. bytes.Span];

    public int Run(byte[] input) => input.Length == 0 ? 0 : HashCode.Combine(input[0] % Checks.Length, Checks[input[0] % Checks.Length](input.AsMemory(1)));

    private static int CheckPiece(ReadOnlyMemory<byte> bytes)
    {
        if (SnapshotPiece.Decode(bytes, RecordSamples.Sites) is not { } piece) return 1;
        var written = Write(piece);
        Demand(SnapshotPiece.Decode(written, RecordSamples.Sites) is { } again && written.Span.SequenceEqual(Write(again).Span), "a piece is written as it was read");
        return HashCode.Combine(piece.GetType().Name, TakeIn(piece));
    }

    private static ReadOnlyMemory<byte> Write(SnapshotPiece piece) => piece switch
    {
        SnapshotPiece.Made made => SnapshotPiece.Of(made.Replicant),
        SnapshotPiece.Marked marked => SnapshotPiece.Of(marked.Moves),
        SnapshotPiece.Removed removed => SnapshotPiece.Of(removed.Site, removed.Index),
        SnapshotPiece.Leaving leaving => SnapshotPiece.Of(leaving.Closing, leaving.Index),
        SnapshotPiece.Open open => SnapshotPiece.Of(open.Operation, open.State.Export()),
        _ => throw new FuzzException("a piece of a kind that is not known"),
    };

    private static int TakeIn(SnapshotPiece piece)
    {
        var group = new GroupState("Site3", RecordSamples.Sites);
        switch (piece)
        {
            case SnapshotPiece.Marked marked:
                group.Import(marked.Moves);
                return marked.Moves.Marks.Length;
            case SnapshotPiece.Removed removed:
                group.ImportRemoved(removed.Site, removed.Index);
                return group.Removed.Count;
            case SnapshotPiece.Leaving leaving:
                group.Import(leaving.Index, leaving.Closing);
                return group.Moving.Count();
            case SnapshotPiece.Open { State: var state }:
                group.Import(state);
                Demand(!group.TryFind(state.Id, out _) == (state.IsFinished && !state.IsDiverged), "an operation is taken in unless it is over");
                Demand(state.Describe().Length > 0, "where it stands can be told");
                return HashCode.Combine(state.Decision, state.IsFinished, state.IsDiverged, state.IsTakenOver, group.AllHere().Count());
            default:
                return 0;
        }
    }

    private static int CheckMark(ReadOnlyMemory<byte> bytes)
    {
        var groups = CheckpointMark.Read(bytes);
        if (groups.Count == 0) return 1;
        Demand(groups.Count <= Bounds.TableMarkSizeMax / GroupId.Size, "a mark past its bound");
        var again = CheckpointMark.Read(CheckpointMark.Write(groups.Select(one => (one.Key, one.Value))));
        Demand(again.Count == groups.Count && groups.All(one => again[one.Key] == one.Value), "a mark is written as it was read");
        return 1 + groups.Count;
    }

    private static int CheckNote(ReadOnlyMemory<byte> bytes)
    {
        if (Journal.Decode(7, bytes) is not (var id, var note)) return 1;
        Demand(bytes.Span.SequenceEqual(Journal.Encode(id, note).Span), "a note is written as it was read");
        return HashCode.Combine(note.Status != 0, note.LocalId.Length > 0);
    }
}
