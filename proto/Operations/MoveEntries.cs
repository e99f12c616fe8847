using System.Collections.Immutable;

namespace Cheops.Proto.Operations;

/// <summary>
/// In the log of the group that a replicant leaves: what is proposed on it from here on is another group's. Of several the
/// first counts, until its move is over.
/// </summary>
/// <param name="Move">The move: its id, the replicant, where it was asked for, and for whom what it takes is done.</param>
/// <param name="Sites">The replicant's sites from now on, in ordinal order.</param>
/// <param name="DeletesReplica">Whether a site that is none of them any more deletes its replica; else it keeps it as a resource of its own.</param>
public sealed record ClosingEntry(Operation Move, ImmutableArray<string> Sites, bool DeletesReplica) : GroupEntry
{
    private protected override byte Tag => 6;

    /// <summary>What a removed site carries out, where it deletes its replica.</summary>
    public Operation Deletion => Move with { Kind = OperationKind.Delete, Repetition = Repetition.Idempotent };

    private protected override void Write(EntryWriter writer)
    {
        Move.Write(writer);
        writer.Texts(Sites).Byte(DeletesReplica ? (byte)1 : (byte)0);
    }

    internal static ClosingEntry Read(ref EntryReader reader) =>
        new(Operation.Read(ref reader), [.. reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax)], reader.Byte() != 0);

    private protected override bool IsValid =>
        Move is { IsValid: true, Kind: OperationKind.Move, Replicant.MetaId.Length: > 0 } && !Sites.IsEmpty && Sites.All(site => site.Length > 0);
}

/// <summary>
/// In the log of the group that a replicant comes to: from here on it is this group's. Of several opening entries of a
/// move the first counts, also when it calls the move off.
/// </summary>
/// <param name="Move">The move.</param>
/// <param name="Key">The replicant.</param>
/// <param name="From">The group that it leaves.</param>
/// <param name="FromSites">The sites of that group.</param>
/// <param name="ClosedAt">Index of the closing entry there.</param>
/// <param name="Record">The replicant, with the ids of the replicas that are there; null when the move is called off.</param>
/// <param name="Reason">Why it is called off, for a person; else empty.</param>
/// <param name="Copies">What makes the replica at the sites that are new, in order; each is accepted.</param>
public sealed record OpeningEntry(
    OperationId Move, ReplicantKey Key, GroupId From, ImmutableArray<string> FromSites, long ClosedAt, ReplicantRecord? Record, string Reason,
    ImmutableArray<Operation> Copies) : GroupEntry
{
    private protected override byte Tag => 7;

    /// <summary>The sites that had it before and are none of <see cref="FromSites"/>, the one that was left out last at the end; at most <see cref="Bounds.FormerSitesMax"/>.</summary>
    public ImmutableArray<FormerSite> Former { get; init; } = [];

    private protected override void Write(EntryWriter writer)
    {
        var from = new byte[GroupId.Size];
        From.Write(from);
        writer.Id(Move);
        Key.Write(writer);
        writer.Bytes(from).Texts(FromSites).Number(ClosedAt).Bytes(Record is null ? default : Record.Encode().Span).Text(Reason).Small(Copies.Length);
        foreach (var copy in Copies)
        {
            var inner = new EntryWriter();
            copy.Write(inner);
            writer.Bytes(inner.Written.Span);
        }

        FormerSite.Write(writer, Former);
    }

    internal static OpeningEntry? Read(ref EntryReader reader)
    {
        var move = reader.Id();
        var key = ReplicantKey.Read(ref reader);
        var from = reader.Bytes(GroupId.Size);
        var sites = reader.Texts(Bounds.GroupSitesMax, Bounds.SiteNameLengthMax);
        var closedAt = reader.Number();
        var bytes = reader.Bytes(Bounds.GroupEntrySizeMax);
        var record = bytes.IsEmpty ? null : ReplicantRecord.Decode(bytes);
        var reason = reader.Text(Bounds.AnswerExcerptSizeMax);
        var copies = ImmutableArray.CreateBuilder<Operation>();
        for (var left = reader.Count(Bounds.MoveCopiesMax); left > 0; left--)
        {
            var inner = new EntryReader(reader.Bytes(Bounds.GroupEntrySizeMax));
            copies.Add(Operation.Read(ref inner));
            if (!inner.IsWhole) return null;
        }

        var former = FormerSite.Read(ref reader);

        return from.Length != GroupId.Size || (record is null && !bytes.IsEmpty)
            ? null
            : new OpeningEntry(move, key, GroupId.Read(from.Span), [.. sites], closedAt, record, reason, copies.ToImmutable()) { Former = former };
    }

    private protected override bool IsValid =>
        Key.MetaId.Length > 0 && !FromSites.IsEmpty && ClosedAt > 0 && Copies.All(copy => copy is { IsValid: true, Kind: not OperationKind.Move } && copy.Replicant == Key)
        && (Record is null || Record.Key == Key) && Former.All(one => one.IsValid);
}

/// <summary>In the log of the group that a replicant leaves: its move is over.</summary>
/// <param name="Move">The move.</param>
/// <param name="Key">The replicant.</param>
/// <param name="OpenedAt">Index of the opening entry in the other log; 0 when the move was called off there, and the replicant stays.</param>
public sealed record MovedEntry(OperationId Move, ReplicantKey Key, long OpenedAt) : GroupEntry
{
    private protected override byte Tag => 8;

    private protected override void Write(EntryWriter writer)
    {
        writer.Id(Move);
        Key.Write(writer);
        writer.Number(OpenedAt);
    }

    private protected override bool IsValid => Key.MetaId.Length > 0 && OpenedAt >= 0;
}

/// <summary>
/// In the log of a group that a replicant has left: it was deleted where it had gone, so that its name is free here again. Nothing
/// comes of it when the replicant has come back, or left by another move, meanwhile.
/// </summary>
/// <param name="Move">The move by which it left.</param>
/// <param name="Key">The replicant.</param>
public sealed record FreedEntry(OperationId Move, ReplicantKey Key) : GroupEntry
{
    private protected override byte Tag => 10;

    private protected override void Write(EntryWriter writer)
    {
        writer.Id(Move);
        Key.Write(writer);
    }

    private protected override bool IsValid => Key.MetaId.Length > 0;
}
