using System.Buffers.Binary;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Table;

/// <summary>
/// The last two checkpoints of a table, by turns in two segments. A checkpoint is first made durable in the segment of the
/// one before the last, then named by that segment's slot: whatever happens in between, the last one stays whole.
/// </summary>
/// <remarks>
/// A segment: CRC-32C of what follows (4 bytes), <c>CHT1</c> (4), number (8), begin (8), until (8), count (8), sum (8), live
/// size (8), secret (8), buckets (8), bound of numbers (4), length of the mark (4), the mark; little-endian. A slot: CRC-32C of the rest (4 bytes),
/// <c>CHT1</c> (4), number (8), zeros.
/// </remarks>
internal sealed class TableCheckpoints : IDisposable
{
    /// <summary>Bytes of a segment.</summary>
    public const int SegmentSize = Bounds.TableMarkSizeMax + 4096;

    private const uint Magic = 0x31544843; // "CHT1"
    private const int HeaderSize = 80;

    private readonly ISegmentFiles _files;
    private int _latest = -1;

    public TableCheckpoints(ISegmentFiles files)
    {
        _files = files;
        var named = new long[2];
        var isSuspect = false;
        for (var turn = 0; turn < 2; turn++)
        {
            var extent = ReadSegment(turn, out var mark);
            named[turn] = ReadSlot(turn, out var isBroken);
            // A crash may tear a segment, but then its slot is whole and names the one that was there before.
            isSuspect |= isBroken && extent is null;
            if (extent is not { } found || found.Number < named[turn] || found.Number <= Latest.Number) continue;
            (Latest, Mark, _latest) = (found, mark, turn);
        }

        if (isSuspect || named.Max() > Latest.Number)
            Damage = "the table's last checkpoint is not what was written";
    }

    /// <summary>The last checkpoint; its number is 0 when there is none.</summary>
    public TableExtent Latest { get; private set; }

    /// <summary>Its mark.</summary>
    public ReadOnlyMemory<byte> Mark { get; private set; }

    /// <summary>Why the last checkpoint cannot be known; null when it is.</summary>
    public string? Damage { get; }

    /// <summary>Bytes on disk.</summary>
    public static long DiskBytes => 2 * SegmentSize;

    /// <summary>Makes a checkpoint durable; what it tells of is durable already.</summary>
    /// <exception cref="IOException">The disk failed, or there is no room yet for the first checkpoints.</exception>
    public void Write(TableExtent extent, ReadOnlyMemory<byte> mark)
    {
        var turn = _latest == 0 ? 1 : 0;
        // Both at once: no later checkpoint finds the disk full.
        _files.Reserve(0);
        _files.Reserve(1);
        _files.Write(turn, 0, Segment(extent, mark.Span));
        _files.Sync();
        Span<byte> slot = stackalloc byte[ISegmentFiles.SlotSize];
        slot.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(slot[4..], Magic);
        BinaryPrimitives.WriteInt64LittleEndian(slot[8..], extent.Number);
        BinaryPrimitives.WriteUInt32LittleEndian(slot, Crc32C.Of(slot[4..]));
        _files.WriteSlot(turn, slot);
        (Latest, Mark, _latest) = (extent, mark, turn);
    }

    private static byte[] Segment(TableExtent extent, ReadOnlySpan<byte> mark)
    {
        var bytes = new byte[HeaderSize + mark.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Magic);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), extent.Number);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), extent.Begin);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), extent.Until);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), extent.Count);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(40), extent.Sum);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(48), extent.LiveSize);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(56), extent.Secret);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(64), extent.Buckets);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(72), extent.NumberBound);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(76), mark.Length);
        mark.CopyTo(bytes.AsSpan(HeaderSize));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Crc32C.Of(bytes.AsSpan(4)));
        return bytes;
    }

    private TableExtent? ReadSegment(int turn, out byte[] mark)
    {
        mark = [];
        Span<byte> header = stackalloc byte[HeaderSize];
        _files.Read(turn, 0, header);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) != Magic) return null;
        var length = BinaryPrimitives.ReadInt32LittleEndian(header[76..]);
        if (length is < 0 or > Bounds.TableMarkSizeMax) return null;
        mark = new byte[length];
        _files.Read(turn, HeaderSize, mark);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != Crc32C.Append(Crc32C.Of(header[4..]), mark)) return null;
        var extent = new TableExtent(
            BinaryPrimitives.ReadInt64LittleEndian(header[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(header[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[48..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[72..]),
            BinaryPrimitives.ReadUInt64LittleEndian(header[56..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[64..]));
        return extent.Begin >= TableExtent.FirstPosition && extent.Begin <= extent.Until ? extent : null;
    }

    private long ReadSlot(int turn, out bool isBroken)
    {
        Span<byte> slot = stackalloc byte[ISegmentFiles.SlotSize];
        _files.ReadSlot(turn, slot);
        var isWhole = BinaryPrimitives.ReadUInt32LittleEndian(slot[4..]) == Magic && BinaryPrimitives.ReadUInt32LittleEndian(slot) == Crc32C.Of(slot[4..]);
        isBroken = !isWhole && slot.ContainsAnyExcept((byte)0);
        return isWhole ? BinaryPrimitives.ReadInt64LittleEndian(slot[8..]) : 0;
    }

    public void Dispose() => _files.Dispose();
}
