using System.Buffers.Binary;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Raft.Protocol;

/// <summary>How a group stands at a site, told to another member when the two meet: 60 bytes.</summary>
/// <param name="Group">The group.</param>
/// <param name="Generation">Its generation there.</param>
/// <param name="Yours">The incarnation of the asked site that belongs to the group.</param>
/// <param name="LastTerm">Term of the last entry.</param>
/// <param name="LastIndex">Index of the last entry.</param>
/// <param name="CommitIndex">Index of the last entry known as committed.</param>
internal readonly record struct ComparedGroup(
    GroupId Group, int Generation, Incarnation Yours, long LastTerm, long LastIndex, long CommitIndex)
{
    /// <summary>Bytes of one.</summary>
    public const int Size = GroupId.Size + 4 + Incarnation.Size + 24;

    /// <summary>Most that one frame takes.</summary>
    public const int CountMax = (Bounds.FramePayloadSizeMax - GroupFrame.HeaderSize) / Size;

    /// <summary>Writes them.</summary>
    public static byte[] ToBytes(ReadOnlySpan<ComparedGroup> groups)
    {
        var bytes = new byte[groups.Length * Size];
        var rest = bytes.AsSpan();
        foreach (var group in groups)
        {
            group.Group.Write(rest);
            BinaryPrimitives.WriteInt32LittleEndian(rest[16..], group.Generation);
            group.Yours.Write(rest[20..]);
            BinaryPrimitives.WriteInt64LittleEndian(rest[36..], group.LastTerm);
            BinaryPrimitives.WriteInt64LittleEndian(rest[44..], group.LastIndex);
            BinaryPrimitives.WriteInt64LittleEndian(rest[52..], group.CommitIndex);
            rest = rest[Size..];
        }

        return bytes;
    }

    /// <summary>Reads what <see cref="ToBytes"/> wrote; null when it is something else.</summary>
    public static ComparedGroup[]? Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % Size != 0 || bytes.Length / Size > CountMax) return null;
        var groups = new ComparedGroup[bytes.Length / Size];
        for (var i = 0; i < groups.Length; i++, bytes = bytes[Size..])
        {
            groups[i] = new ComparedGroup(
                GroupId.Read(bytes),
                BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]),
                Incarnation.Read(bytes[20..]),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[36..]),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[44..]),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[52..]));
        }

        return groups;
    }
}
