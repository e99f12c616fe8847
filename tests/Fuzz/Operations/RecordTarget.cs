using System.Text;
using Cheops.Proto;
using Cheops.Proto.Operations;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Operations;

/// <summary>What is kept of operations: any bytes are a record within its bounds or are refused, and what was read is written again.</summary>
internal sealed class RecordTarget : IFuzzTarget
{
    private static readonly OperationId Id = new(new UInt128(1, 2));

    private static readonly ReplicantKey Key = new("glance", "/v2/images", "0af76519-16cd-43dd-8448-eb211c80319c");

    private static readonly ServiceResult Answer = new(201, "local-7", "made");

    public string Name => "record";

    public string Purpose => "records of the operation log, entries of groups, replicants: within bounds or refused, written as read";

    public IEnumerable<byte[]> Seeds =>
    [
        Seed('E', new ProposedEntry(AnOperation()).Encode()),
        Seed('E', new OutcomeEntry(Id, "Site1", Decision.Accepted, "meta", Answer).Encode()),
        Seed('E', new AppliedEntry(Id, "Site2", SiteResult.Failed, Answer).Encode()),
        Seed('E', new DeciderEntry(Id, "Site1", "Site2").Encode()),
        Seed('E', new ResolvedEntry(Id, "Site2", Resolve.Retry).Encode()),
        Seed('R', new ReplicantRecord { Key = Key, Resource = "images", Group = new GroupId(new UInt128(3, 4)), CreatedBy = Id }.Encode()),
        Seed('L', ALogRecord()),
    ];

    public IReadOnlyList<byte[]> Words { get; } =
    [
        [0, 0, 0, 0], [1, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 1, 0], [5, 0, 0, 0, (byte)'S', (byte)'i', (byte)'t', (byte)'e', (byte)'1'], [1, 1], [1, 2], [1, 3], [1, 4], [1, 5],
        [0xC3, 0x28], [0xED, 0xA0, 0x80], "/v2"u8.ToArray(), "POST"u8.ToArray(), new byte[16], new byte[64],
    ];

    private static Operation AnOperation() => new()
    {
        Id = Id,
        Kind = OperationKind.Create,
        Origin = "Site1",
        Replicant = Key,
        Resource = "images",
        Method = "POST",
        Target = "/v2/images",
        Fields = "Content-Type: application/json\r\n"u8.ToArray(),
        Body = "{}"u8.ToArray(),
        HasBody = true,
        User = "dev",
        UserGroups = ["devs"],
        Credentials = [("Site2", new byte[] { 1, 2, 3 })],
    };

    private static byte[] ALogRecord()
    {
        var record = new LogRecord { Kind = 1, Group = new GroupId(new UInt128(3, 4)), Index = 5, Term = 6, Sequence = 7, Payload = "payload"u8.ToArray() };
        var bytes = new byte[record.Size];
        record.Write(bytes);
        return bytes;
    }

    private static byte[] Seed(char kind, ReadOnlyMemory<byte> bytes) => [(byte)kind, .. bytes.Span];

    // The first byte says what the others are taken for.
    public int Run(byte[] input) => input.Length == 0 ? 0 : (input[0] % 3) switch
    {
        'E' % 3 => CheckEntry(input.AsMemory(1)),
        'R' % 3 => CheckReplicant(input.AsMemory(1)),
        _ => CheckLogRecord(input.AsMemory(1)),
    };

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
}
