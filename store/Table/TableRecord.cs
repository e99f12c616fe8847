using System.Buffers.Binary;
using Cheops.Proto.Operations;

namespace Cheops.Store.Table;

/// <summary>What a record of the table's log tells of its key.</summary>
internal enum TableRecordKind : byte
{
    /// <summary>It is there, with this value.</summary>
    There = 1,
    /// <summary>It was removed.</summary>
    Removed = 2,
}

/// <summary>
/// A record of the table's log as FASTER holds it, with what is ours in FASTER's value. All numbers are little-endian.
/// <code>
///  0  8  FASTER's header: address of the record before it in the hash chain (48 bits), flags
///  8  4  length of the key
/// 12  …  key, padded to 8 bytes
///  …  4  length of what follows
///  …  4  CRC-32C of the address in the header after the checksum of the record (see <see cref="Checksum"/>)
///  …  4  number of the key (see <see cref="KeyNumbers"/>)
///  …  1  kind
///  …  …  value; padded to 8 bytes
/// </code>
/// </summary>
internal readonly ref struct TableRecord
{
    /// <summary>Bytes that we put before a value.</summary>
    public const int PrefixSize = sizeof(uint) + sizeof(uint) + 1;

    private const int NumberAt = sizeof(uint), KindAt = NumberAt + sizeof(uint);
    private const int HeaderSize = 8, LengthSize = 4;
    private const long PreviousMask = (1L << 48) - 1;
    private const long Tombstone = 1L << 55, Valid = 1L << 56, Sealed = 1L << 57;

    private readonly long _header;

    private TableRecord(long header, long position, int size, ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored)
    {
        (_header, Position, Size) = (header, position, size);
        Key = key;
        Stored = stored;
    }

    /// <summary>Where it is in the log.</summary>
    public long Position { get; }

    /// <summary>Bytes that it takes in the log.</summary>
    public int Size { get; }

    /// <summary>Its key.</summary>
    public ReadOnlySpan<byte> Key { get; }

    /// <summary>The value with our prefix.</summary>
    public ReadOnlySpan<byte> Stored { get; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value => Stored[PrefixSize..];

    /// <summary>The number of its key.</summary>
    public uint Number => NumberOf(Stored);

    /// <summary>What it tells.</summary>
    public TableRecordKind Kind => KindOf(Stored);

    /// <summary>Room that FASTER took and gave up: nothing of it counts.</summary>
    public bool IsAbandoned => (_header & Valid) == 0;

    /// <summary>Whether FASTER marked it as replaced by a later record of its key.</summary>
    public bool IsReplaced => (_header & Sealed) != 0;

    /// <summary>Whether it is what was written.</summary>
    public bool IsWhole => (_header & Tombstone) == 0 && IsLinked(Key, Stored, _header & PreviousMask);

    /// <summary>Bytes that a record takes in the log.</summary>
    public static int SizeOf(int keySize, int storedSize) => Pad(HeaderSize + Pad(LengthSize + keySize) + LengthSize + storedSize);

    /// <summary>Writes our prefix and the value; the first four bytes wait for <see cref="Link"/>.</summary>
    public static void Write(Span<byte> stored, uint number, TableRecordKind kind, ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(stored, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(stored[NumberAt..], number);
        stored[KindAt] = (byte)kind;
        value.CopyTo(stored[PrefixSize..]);
    }

    /// <summary>The checksum of a record: CRC-32C of everything of ours but the first four bytes, and the key.</summary>
    public static uint Checksum(ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored) => Crc32C.Append(Crc32C.Of(stored[NumberAt..]), key);

    /// <summary>Writes the checksum that also covers where the record stands in its chain.</summary>
    public static void Link(ReadOnlySpan<byte> key, Span<byte> stored, long previous) =>
        BinaryPrimitives.WriteUInt32LittleEndian(stored, Linked(Checksum(key, stored), previous));

    /// <summary>Whether a record is what was written.</summary>
    public static bool IsLinked(ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored, long previous) =>
        stored.Length >= PrefixSize && BinaryPrimitives.ReadUInt32LittleEndian(stored) == Linked(Checksum(key, stored), previous);

    /// <summary>The number of a key, from what is stored for it.</summary>
    public static uint NumberOf(ReadOnlySpan<byte> stored) => BinaryPrimitives.ReadUInt32LittleEndian(stored[NumberAt..]);

    /// <summary>The kind of a record, from what is stored in it.</summary>
    public static TableRecordKind KindOf(ReadOnlySpan<byte> stored) => (TableRecordKind)stored[KindAt];

    /// <summary>Whether one may be written over the other: then neither gives nor takes a number, and the order of records stays that of events.</summary>
    public static bool MayReplace(ReadOnlySpan<byte> stored, ReadOnlySpan<byte> by) =>
        stored.Length == by.Length && NumberOf(stored) == NumberOf(by) && KindOf(stored) == TableRecordKind.There && KindOf(by) == TableRecordKind.There;

    /// <summary>Reads the record at the beginning of some bytes of a page.</summary>
    /// <param name="bytes">From the record to the page's end.</param>
    /// <param name="position">Where the record is in the log.</param>
    /// <param name="options">How long keys and values may be.</param>
    /// <param name="record">The record; nothing of it but its lengths was checked.</param>
    /// <returns>False when there can be no record: the lengths are impossible.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, long position, ReplicantTableOptions options, out TableRecord record)
    {
        record = default;
        if (bytes.Length < SizeOf(1, PrefixSize)) return false;
        var keySize = BinaryPrimitives.ReadInt32LittleEndian(bytes[HeaderSize..]);
        if (keySize < 1 || keySize > options.KeySizeMax) return false;
        var storedAt = HeaderSize + Pad(LengthSize + keySize);
        if (storedAt + LengthSize > bytes.Length) return false;
        var storedSize = BinaryPrimitives.ReadInt32LittleEndian(bytes[storedAt..]);
        if (storedSize < PrefixSize || storedSize > options.ValueSizeMax + PrefixSize) return false;
        var size = SizeOf(keySize, storedSize);
        if (size > bytes.Length) return false;
        record = new TableRecord(
            BinaryPrimitives.ReadInt64LittleEndian(bytes),
            position,
            size,
            bytes.Slice(HeaderSize + LengthSize, keySize),
            bytes.Slice(storedAt + LengthSize, storedSize));
        return true;
    }

    private static uint Linked(uint checksum, long previous)
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, previous);
        return Crc32C.Append(checksum, bytes);
    }

    private static int Pad(int size) => (size + 7) & ~7;
}
