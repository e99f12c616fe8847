using System.Buffers.Binary;
using System.Numerics;
using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;
using Cheops.Store.Table;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Store;

/// <summary>What the store finds on disk beside the log's records: pages of the table, and slots that tell how far a log goes.</summary>
internal sealed class TableTarget : IFuzzTarget
{
    private static readonly ReplicantTableOptions Options = new();

    public string Name => "table";

    public string Purpose => "records of the replicant table, commits of a log: within what holds them, whole or refused";

    public IEnumerable<byte[]> Seeds =>
    [
        [0, .. Record("key"u8, TableRecordKind.There, "value"u8), .. Record("another key"u8, TableRecordKind.Removed, [])],
        [1, .. Slot(new LogExtent(3, 64, 4096, 1, 9))],
    ];

    public IReadOnlyList<byte[]> Words { get; } = [[0, 0, 0, 0], [1, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [9, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1], new byte[8], new byte[64]];

    private static byte[] Record(ReadOnlySpan<byte> key, TableRecordKind kind, ReadOnlySpan<byte> value)
    {
        var stored = new byte[TableRecord.PrefixSize + value.Length];
        TableRecord.Write(stored, 7, kind, value);
        TableRecord.Link(key, stored, 0);
        var bytes = new byte[TableRecord.SizeOf(key.Length, stored.Length)];
        var storedAt = 8 + ((4 + key.Length + 7) & ~7);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), key.Length);
        key.CopyTo(bytes.AsSpan(12));
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(storedAt), stored.Length);
        stored.CopyTo(bytes.AsSpan(storedAt + 4));
        return bytes;
    }

    private static byte[] Slot(LogExtent extent)
    {
        using var files = new MemorySegmentFiles(4096);
        new CommitSlots(files).Rewrite(extent);
        var bytes = new byte[ISegmentFiles.SlotSize];
        files.ReadSlot(0, bytes);
        return bytes;
    }

    public int Run(byte[] input) => input.Length == 0 ? 0 : input[0] % 2 == 0 ? CheckRecords(input.AsSpan(1)) : CheckSlot(input.AsSpan(1));

    private static int CheckRecords(ReadOnlySpan<byte> page)
    {
        var count = 0;
        var seen = 0;
        for (var rest = page; TableRecord.TryRead(rest, page.Length - rest.Length, Options, out var record); rest = rest[record.Size..])
        {
            count++;
            Demand(record.Size is > 0 and var size && size <= rest.Length && size == TableRecord.SizeOf(record.Key.Length, record.Stored.Length), "a record is within its page");
            Demand(record.Key.Length >= 1 && record.Key.Length <= Options.KeySizeMax && record.Value.Length <= Options.ValueSizeMax, "a record past its bounds");
            if (!record.IsWhole) continue;
            seen |= 1 << ((record.Kind == TableRecordKind.There ? 1 : 0) + (record.IsAbandoned ? 2 : 0) + (record.IsReplaced ? 4 : 0) + (record.Value.Length > 0 ? 8 : 0));
            var stored = record.Stored.ToArray();
            stored[^1] ^= 1;
            Demand(!TableRecord.IsLinked(record.Key, stored, 0) || !TableRecord.IsLinked(record.Key, record.Stored, 0), "a record with a flipped bit");
        }

        return HashCode.Combine(0, BitOperations.PopCount((uint)seen), Math.Min(count, 4));
    }

    // The checksum is put right, or hardly any mutation would get past it.
    private static int CheckSlot(ReadOnlySpan<byte> input)
    {
        var bytes = new byte[ISegmentFiles.SlotSize];
        input[..Math.Min(input.Length, bytes.Length)].CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Crc32C.Of(bytes.AsSpan(4)));
        using var files = new MemorySegmentFiles(4096);
        files.WriteSlot(0, bytes);
        var slots = new CommitSlots(files);
        Demand(slots.Latest is null == slots.Damaged, "a slot that holds something is a commit, or damaged");
        if (slots.Latest is not { } latest) return 1;
        Demand(latest.Begin >= 0 && latest.Begin <= latest.Until && latest.BeginSequence <= latest.UntilSequence, "a log that ends before it begins");
        slots.Rewrite(latest);
        Equal(latest, new CommitSlots(files).Latest, "a commit written again");
        return 2;
    }
}
