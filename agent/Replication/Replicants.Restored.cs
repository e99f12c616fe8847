using System.Buffers;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>
/// What a snapshot brought of a group's operations and moves, under <c>S</c>: no entry of the log here says it, so that a start
/// takes it from the table before it applies what comes after.
/// </summary>
internal sealed partial class Replicants
{
    private const byte RestoredVersion = 1;

    /// <summary>The index of the group's snapshot, and how many of its pieces are kept; null for none.</summary>
    public (long Index, int Count)? RestoredOf(GroupId group)
    {
        if (!table.MayHold(RestoredKey(group))) return null;
        var value = new ArrayBufferWriter<byte>(16);
        if (!table.TryGet(RestoredKey(group), value)) return null;
        var reader = new EntryReader(value.WrittenMemory);
        var (version, index, count) = (reader.Byte(), reader.Number(), reader.Small());
        return reader.IsWhole && version == RestoredVersion ? (index, count) : null;
    }

    /// <summary>A piece that is kept.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public byte[] RestoredPiece(GroupId group, long index, int number)
    {
        var value = new ArrayBufferWriter<byte>(1024);
        return table.TryGet(RestoredKey(group, index, number), value) ? value.WrittenSpan.ToArray() : throw new IOException($"piece {number} of a snapshot is not in the table");
    }

    /// <summary>Keeps a piece of a snapshot, which counts with <see cref="KeepRestored"/>.</summary>
    public void KeepRestoredPiece(GroupId group, long index, int number, ReadOnlySpan<byte> piece) => table.Put(RestoredKey(group, index, number), piece);

    /// <summary>The pieces of a snapshot count, in place of those of the one before.</summary>
    public void KeepRestored(GroupId group, long index, int count)
    {
        var before = RestoredOf(group);
        table.Put(RestoredKey(group), new EntryWriter().Byte(RestoredVersion).Number(index).Small(count).Written.Span);
        if (before is { } old && old.Index != index) RemovePieces(group, old.Index, old.Count);
    }

    /// <summary>Lets go of what a snapshot brought.</summary>
    public void ForgetRestored(GroupId group)
    {
        if (RestoredOf(group) is not { } old) return;
        table.Remove(RestoredKey(group));
        RemovePieces(group, old.Index, old.Count);
    }

    private void RemovePieces(GroupId group, long index, int count)
    {
        for (var number = 0; number < count; number++) table.Remove(RestoredKey(group, index, number));
    }

    private static byte[] RestoredKey(GroupId group, long? index = null, int number = 0)
    {
        var id = new byte[GroupId.Size];
        group.Write(id);
        var key = new EntryWriter().Byte((byte)'S').Append(id);
        return (index is { } of ? key.Number(of).Small(number) : key).Written.ToArray();
    }
}
