using System.Buffers.Binary;

namespace Cheops.Raft.Protocol;

/// <summary>Entries in the body of an append: each is its term (8), the length of its bytes (4), its bytes.</summary>
internal static class EntryBatch
{
    /// <summary>Bytes before each entry.</summary>
    public const int FramingSize = 12;

    /// <summary>Bytes that an entry takes.</summary>
    public static int SizeOf(LoggedEntry entry) => FramingSize + entry.Bytes.Length;

    /// <summary>Writes the entries.</summary>
    public static void Write(Span<byte> to, ReadOnlySpan<LoggedEntry> entries)
    {
        foreach (var entry in entries)
        {
            BinaryPrimitives.WriteInt64LittleEndian(to, entry.Term);
            BinaryPrimitives.WriteInt32LittleEndian(to[8..], entry.Bytes.Length);
            entry.Bytes.Span.CopyTo(to[FramingSize..]);
            to = to[SizeOf(entry)..];
        }
    }

    /// <summary>Reads the entries, which stay parts of <paramref name="body"/>; null when it is no batch.</summary>
    public static List<LoggedEntry>? Read(ReadOnlyMemory<byte> body)
    {
        var entries = new List<LoggedEntry>();
        while (body.Length > 0)
        {
            if (body.Length < FramingSize) return null;
            var term = BinaryPrimitives.ReadInt64LittleEndian(body.Span);
            var length = BinaryPrimitives.ReadInt32LittleEndian(body.Span[8..]);
            if (length < 0 || length > body.Length - FramingSize) return null;
            if (LoggedEntry.Read(term, body.Slice(FramingSize, length)) is not { } entry) return null;
            entries.Add(entry);
            body = body[(FramingSize + length)..];
        }

        return entries;
    }
}
