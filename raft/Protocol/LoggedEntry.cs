using System.Buffers.Binary;
using Cheops.Proto;

namespace Cheops.Raft.Protocol;

/// <summary>What an entry is to its group.</summary>
internal enum EntryKind : byte
{
    /// <summary>The first entry of a leader's term; carries nothing.</summary>
    Begin = 1,
    /// <summary>What was proposed; the machine takes it.</summary>
    Proposed = 2,
    /// <summary>The members' incarnations from here on: a wiped site is let in again, or one is removed.</summary>
    Roster = 3,
}

/// <summary>
/// An entry of a group's log in the bytes in which it is sent and stored: kind (1), the commit index that its writer knew
/// (8), data. Immutable.
/// </summary>
internal sealed class LoggedEntry
{
    /// <summary>Bytes before the data.</summary>
    public const int HeaderSize = 9;

    private LoggedEntry(long term, ReadOnlyMemory<byte> bytes) => (Term, Bytes) = (term, bytes);

    /// <summary>The term in which a leader made it.</summary>
    public long Term { get; }

    /// <summary>All of it but the term.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>What it is.</summary>
    public EntryKind Kind => (EntryKind)Bytes.Span[0];

    /// <summary>An index that surely is committed: its writer knew.</summary>
    public long CommitIndex => BinaryPrimitives.ReadInt64LittleEndian(Bytes.Span[1..]);

    /// <summary>What it carries.</summary>
    public ReadOnlyMemory<byte> Data => Bytes[HeaderSize..];

    /// <summary>Makes an entry; the data are copied.</summary>
    public static LoggedEntry Make(long term, EntryKind kind, long commitIndex, ReadOnlySpan<byte> data)
    {
        var bytes = new byte[HeaderSize + data.Length];
        bytes[0] = (byte)kind;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(1), commitIndex);
        data.CopyTo(bytes.AsSpan(HeaderSize));
        return new LoggedEntry(term, bytes);
    }

    /// <summary>An entry from its bytes, which must not change; null when they are none.</summary>
    public static LoggedEntry? Read(long term, ReadOnlyMemory<byte> bytes)
    {
        if (term < 0 || bytes.Length is < HeaderSize or > HeaderSize + Bounds.GroupEntrySizeMax) return null;
        if (bytes.Span[0] is < (byte)EntryKind.Begin or > (byte)EntryKind.Roster) return null;
        if (BinaryPrimitives.ReadInt64LittleEndian(bytes.Span[1..]) < 0) return null;
        var entry = new LoggedEntry(term, bytes);
        return entry.Kind == EntryKind.Roster && FoundingRecord.Read(entry.Data.Span) is null ? null : entry;
    }
}
