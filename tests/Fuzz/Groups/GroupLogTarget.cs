using System.Buffers.Binary;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Groups;

/// <summary>
/// What a start reads of the groups in the operation log: any records are put together to groups whose entries are where
/// they were written, or the log is called unsound.
/// </summary>
internal sealed class GroupLogTarget : IFuzzTarget
{
    // A record of an input: kind (1), group (1), index (8), term (2), length of the payload (1), payload.
    private const int HeaderSize = 13;

    private static readonly byte[] Founding = new FoundingRecord
    {
        Members = [new("A", new Incarnation(1)), new("B", new Incarnation(2))],
        HasWitness = false,
        Founder = "A",
        Generation = 1,
    }.ToBytes();

    private static readonly byte[] Met = MetSites.ToBytes([new("B", new Incarnation(2))]);

    public string Name => "grouplog";

    public string Purpose => "records of groups in the operation log: put together to sound groups, or refused";

    public IEnumerable<byte[]> Seeds =>
    [
        [.. Record(GroupRecordKind.Founding, 0, 0, Founding), .. Record(GroupRecordKind.Vote, 0, 1, "A"u8), .. Entry(1, 1), .. Entry(2, 1), .. Entry(3, 2), .. Entry(2, 3), .. Record(GroupRecordKind.Commit, 2, 0, [])],
        [.. Entry(1, 1), .. Record(GroupRecordKind.Restoring, 9, 3, []), .. Record(GroupRecordKind.Snapshot, 9, 3, []), .. Entry(10, 3), .. Entry(11, 4)],
        // The oldest part of the log is gone: what is still needed of it was written again.
        [.. Entry(6, 2), .. Again(4, 1), .. Again(5, 2), .. Record(GroupRecordKind.Begin, 3, 1, []), .. Again(6, 2), .. Record(GroupRecordKind.Met, 0, 0, Met)],
        [.. Record(GroupRecordKind.Entry, 1, 1, LoggedEntry.Make(1, EntryKind.Roster, 0, Founding).Bytes.Span), .. Record((GroupRecordKind)100, 1, 1, []), .. Record((GroupRecordKind)200, 1, 1, [])],
    ];

    public IReadOnlyList<byte[]> Words { get; } =
    [
        Record(GroupRecordKind.Founding, 0, 0, Founding), Record(GroupRecordKind.Met, 0, 0, Met), Record(GroupRecordKind.Commit, 4, 0, []), Record(GroupRecordKind.Vote, 0, 5, []),
        Record(GroupRecordKind.Begin, 2, 1, []), Record(GroupRecordKind.Snapshot, 3, 2, []), Record(GroupRecordKind.Restoring, 3, 2, []),
        .. Enumerable.Range(1, 6).Select(index => Entry(index, 1)), .. Enumerable.Range(1, 6).Select(index => Again(index, 1)),
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 0, 0, 0, 0x80],
    ];

    private static byte[] Entry(long index, ushort term) => Record(GroupRecordKind.Entry, index, term, LoggedEntry.Make(term, EntryKind.Proposed, index - 1, [7]).Bytes.Span);

    private static byte[] Again(long index, ushort term) => Record(GroupRecordKind.EntryAgain, index, term, LoggedEntry.Make(term, EntryKind.Proposed, index - 1, [7]).Bytes.Span);

    private static byte[] Record(GroupRecordKind kind, long index, ushort term, ReadOnlySpan<byte> payload)
    {
        var bytes = new byte[HeaderSize + payload.Length];
        (bytes[0], bytes[12]) = ((byte)kind, (byte)payload.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(2), index);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), term);
        payload.CopyTo(bytes.AsSpan(HeaderSize));
        return bytes;
    }

    public int Run(byte[] input)
    {
        var recovery = new GroupLogRecovery();
        var indices = new Dictionary<(GroupId Group, long Position), long>();
        try
        {
            Visit(recovery, input, indices);
            foreach (var group in recovery.Groups.Values) group.Complete();
        }
        catch (InvalidDataException)
        {
            return 1;
        }

        var outcome = new HashCode();
        foreach (var (id, group) in recovery.Groups.OrderBy(one => one.Key.Value))
        {
            var entries = group.Entries;
            Demand(entries.First >= 1 && entries.Last >= entries.First - 1, "a group has entries from 1 on");
            for (var index = entries.First; index <= entries.Last; index++)
            {
                Demand(entries.TermOf(index) is not null, "an entry has a term");
                Equal(index, indices.GetValueOrDefault((id, entries.PositionOf(index)), -1), "the index that was written where an entry is said to be");
                Demand(entries.PositionOf(index) >= group.OldestPosition, "an entry before the oldest record of its group");
            }

            Demand(group.CommitIndex >= 0, "a commit index is none");
            outcome.Add((Math.Min(group.Entries.Last - group.Entries.First, 4), group.Founding is null, group.Rosters.Count > 0, group.Begin is null, group.Restoring is null, group.VotedFor is null));
        }

        outcome.Add(recovery.Met.Count);
        return outcome.ToHashCode();
    }

    private static void Visit(GroupLogRecovery recovery, ReadOnlySpan<byte> rest, Dictionary<(GroupId, long), long> indices)
    {
        for (long position = 64; rest.Length >= HeaderSize; position += 64)
        {
            var size = Math.Min(rest[12], rest.Length - HeaderSize);
            var record = new LogRecord
            {
                Kind = rest[0],
                Group = new GroupId(1u + (rest[1] & 1u)),
                Index = BinaryPrimitives.ReadUInt64LittleEndian(rest[2..]),
                Term = BinaryPrimitives.ReadUInt16LittleEndian(rest[10..]),
            };
            indices[(record.Group, position)] = (long)record.Index;
            recovery.Visit(position, record, rest.Slice(HeaderSize, size));
            rest = rest[(HeaderSize + size)..];
        }
    }
}
