using System.Collections.Immutable;
using System.Text;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// A piece of a snapshot of a group: something that its entries have made, or of which they are not done. Another site sends it,
/// or the table has kept it; <c>proto/Operations/ENTRIES.md</c> draws its bytes.
/// </summary>
internal abstract record SnapshotPiece
{
    /// <summary>A replicant.</summary>
    internal sealed record Made(ReplicantRecord Replicant) : SnapshotPiece;

    /// <summary>A replicant's comings and goings.</summary>
    internal sealed record Marked(ReplicantMoves Moves) : SnapshotPiece;

    /// <summary>A site that was removed, by the entry at an index.</summary>
    internal sealed record Removed(string Site, long Index) : SnapshotPiece;

    /// <summary>A move that is not over, by the closing entry at an index.</summary>
    internal sealed record Leaving(ClosingEntry Closing, long Index) : SnapshotPiece;

    /// <summary>An operation that is open, and where it stands.</summary>
    internal sealed record Open(Operation Operation, OperationState State) : SnapshotPiece;

    /// <summary>Encodes a replicant.</summary>
    public static ReadOnlyMemory<byte> Of(ReplicantRecord replicant) => new EntryWriter().Byte((byte)'R').Bytes(replicant.Encode().Span).Written;

    /// <summary>Encodes a replicant's comings and goings.</summary>
    public static ReadOnlyMemory<byte> Of(ReplicantMoves moves) => new EntryWriter().Byte((byte)'M').Bytes(moves.Encode().Span).Written;

    /// <summary>Encodes that a site was removed.</summary>
    public static ReadOnlyMemory<byte> Of(string removed, long index) => new EntryWriter().Byte((byte)'X').Bytes(Encoding.ASCII.GetBytes(removed)).Number(index).Written;

    /// <summary>Encodes a move.</summary>
    public static ReadOnlyMemory<byte> Of(ClosingEntry closing, long index) => new EntryWriter().Byte((byte)'C').Bytes(closing.Encode().Span).Number(index).Written;

    /// <summary>Encodes an operation.</summary>
    /// <param name="operation">What it carries.</param>
    /// <param name="exported">Where it stood at the moment of the snapshot, as <see cref="OperationState.Export"/> wrote it.</param>
    public static ReadOnlyMemory<byte> Of(Operation operation, ReadOnlyMemory<byte> exported) =>
        new EntryWriter().Byte((byte)'O').Bytes(new ProposedEntry(operation).Encode().Span).Append(exported.Span).Written;

    /// <summary>Decodes a piece; null when it is malformed.</summary>
    /// <param name="bytes">The piece; the result refers into it.</param>
    /// <param name="sites">The group's sites.</param>
    public static SnapshotPiece? Decode(ReadOnlyMemory<byte> bytes, ImmutableArray<string> sites)
    {
        var reader = new EntryReader(bytes);
        var tag = reader.Byte();
        var part = reader.Bytes(Bounds.GroupEntrySizeMax);
        SnapshotPiece? piece = tag switch
        {
            (byte)'R' => ReplicantRecord.Decode(part) is { } replicant ? new Made(replicant) : null,
            (byte)'M' => ReplicantMoves.Decode(part) is { } moves ? new Marked(moves) : null,
            (byte)'X' => part.Length is > 0 and <= Bounds.SiteNameLengthMax && Ascii.IsValid(part.Span) ? new Removed(Encoding.ASCII.GetString(part.Span), reader.Number()) : null,
            (byte)'C' => GroupEntry.Decode(part) is ClosingEntry closing ? new Leaving(closing, reader.Number()) : null,
            (byte)'O' => GroupEntry.Decode(part) is ProposedEntry { Operation: var operation } && OperationState.Import(ref reader, operation, sites) is { } state ? new Open(operation, state) : null,
            _ => null,
        };
        return reader.IsWhole ? piece : null;
    }
}
