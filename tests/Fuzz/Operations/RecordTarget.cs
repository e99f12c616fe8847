using System.Text;
using Cheops.Proto;
using Cheops.Proto.Operations;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Operations;

/// <summary>What is kept of operations: any bytes are a record within its bounds or are refused, and what was read is written again.</summary>
internal sealed class RecordTarget : IFuzzTarget
{
    // The first byte of an input says what the others are taken for.
    private static readonly Func<ReadOnlyMemory<byte>, int>[] Checks = [CheckEntry, CheckReplicant, CheckLogRecord, CheckMoves, CheckRemoved];

    public string Name => "record";

    public string Purpose => "records of the operation log, entries of groups, records of the table: within bounds or refused, written as read";

    public IEnumerable<byte[]> Seeds =>
    [
        .. RecordSamples.Entries.Select(entry => Seed(CheckEntry, entry.Encode())),
        Seed(CheckReplicant, RecordSamples.Replicant.Encode()),
        Seed(CheckReplicant, (RecordSamples.Replicant with { User = "dev", UserGroups = ["devs", "ops"], LocalIds = RecordSamples.Replicant.LocalIds.Clear() }).Encode()),
        Seed(CheckLogRecord, ALogRecord()),
        Seed(CheckMoves, RecordSamples.Moves.Encode()),
        Seed(CheckRemoved, RemovedSites.Encode([new("Site2", 7), new("Site3", 9)])),
    ];

    public IReadOnlyList<byte[]> Words { get; } = RecordSamples.Words;

    private static byte[] ALogRecord()
    {
        var record = new LogRecord { Kind = 1, Group = new GroupId(new UInt128(3, 4)), Index = 5, Term = 6, Sequence = 7, Payload = "payload"u8.ToArray() };
        var bytes = new byte[record.Size];
        record.Write(bytes);
        return bytes;
    }

    private static byte[] Seed(Func<ReadOnlyMemory<byte>, int> check, ReadOnlyMemory<byte> bytes) => [(byte)Array.IndexOf(Checks, check), .. bytes.Span];

    public int Run(byte[] input) => input.Length == 0 ? 0 : HashCode.Combine(input[0] % Checks.Length, Checks[input[0] % Checks.Length](input.AsMemory(1)));

    private static int CheckEntry(ReadOnlyMemory<byte> bytes)
    {
        if (GroupEntry.Decode(bytes) is not { } entry) return 1;
        var written = entry.Encode();
        var again = GroupEntry.Decode(written);
        Demand(again is not null, "an entry that is not understood again");
        Equal(Convert.ToHexString(written.Span), Convert.ToHexString(again!.Encode().Span), "an entry written again");
        if (entry is not ProposedEntry { Operation: var operation }) return HashCode.Combine(entry.GetType().Name);
        Demand(operation.Target.Length <= Bounds.TargetSizeMax && operation.Origin.Length <= Bounds.SiteNameLengthMax && operation.UserGroups.Length <= Bounds.UserGroupCountMax, "an operation past its bounds");
        return HashCode.Combine(operation.Kind, operation.Repetition, operation.HasBody, operation.BodyHash.Length, operation.UserGroups.Length, operation.Credentials.Length);
    }

    private static int CheckReplicant(ReadOnlyMemory<byte> bytes)
    {
        if (ReplicantRecord.Decode(bytes) is not { } replicant) return 2;
        var written = replicant.Encode();
        var again = ReplicantRecord.Decode(written);
        Demand(again is not null, "a replicant that is not understood again");
        Equal(Convert.ToHexString(written.Span), Convert.ToHexString(again!.Encode().Span), "a replicant written again");
        return HashCode.Combine(replicant.Operator, replicant.LocalIds.Count, replicant.Key.MetaId.Length > 0);
    }

    // The checksum is put right, or hardly any mutation would get past it.
    private static int CheckLogRecord(ReadOnlyMemory<byte> input)
    {
        var bytes = input.ToArray();
        if (bytes.Length >= 4) BitConverter.TryWriteBytes(bytes, Crc32C.Of(bytes.AsSpan(4)));
        var status = LogRecord.Read(bytes, out var record);
        if (status != LogRecordStatus.Understood) return 3 + (int)status;
        Equal(bytes.Length, record.Size, "the size of a record");
        var written = new byte[record.Size];
        record.Write(written);
        Equal(LogRecordStatus.Understood, LogRecord.Read(written, out var again), "a record read again");
        Equal((record.Group, record.Index, record.Term, record.Sequence, record.Kind, Encoding.Latin1.GetString(record.Payload.Span)),
            (again.Group, again.Index, again.Term, again.Sequence, again.Kind, Encoding.Latin1.GetString(again.Payload.Span)), "a record read again");
        bytes[bytes.Length - 1] ^= 1;
        Equal(LogRecordStatus.Checksum, LogRecord.Read(bytes, out _), "a record with a flipped bit");
        return HashCode.Combine(record.Kind, record.Payload.Length > 0);
    }

    private static int CheckMoves(ReadOnlyMemory<byte> bytes)
    {
        if (ReplicantMoves.Decode(bytes) is not { } moves) return 1;
        Demand(moves.Marks.Length <= Bounds.MoveMarksKept && moves.Marks.All(mark => mark.OtherSites.Length <= Bounds.GroupSitesMax && mark.Former.Length <= Bounds.FormerSitesMax), "marks past their bounds");
        Equal(Convert.ToHexString(bytes.Span), Convert.ToHexString(moves.Encode().Span), "a replicant's moves written again");
        return moves.Marks.Aggregate(2, (all, mark) => HashCode.Combine(all, mark.Kind));
    }

    private static int CheckRemoved(ReadOnlyMemory<byte> bytes)
    {
        if (RemovedSites.Decode(bytes) is not { } removed) return 1;
        Demand(removed.Count <= Bounds.GroupSitesMax && removed.Keys.All(site => site.Length <= Bounds.SiteNameLengthMax), "removed sites past their bounds");
        var again = RemovedSites.Decode(RemovedSites.Encode(removed));
        Demand(again is not null && again.Count == removed.Count && removed.All(one => again[one.Key] == one.Value), "removed sites written again");
        return 2 + removed.Count;
    }
}
