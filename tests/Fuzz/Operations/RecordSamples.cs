using System.Collections.Immutable;
using System.Text;
using Cheops.Proto.Operations;

namespace Cheops.Tests.Fuzz.Operations;

/// <summary>One of each that is kept of operations, from which mutations start.</summary>
internal static class RecordSamples
{
    private static readonly OperationId Id = new(new UInt128(1, 2));

    private static readonly ReplicantKey Key = new("glance", "/v2/images", "0af76519-16cd-43dd-8448-eb211c80319c");

    private static readonly ServiceResult Answer = new(201, "local-7", "made");

    /// <summary>The sites of the group to which all of it belongs.</summary>
    public static ImmutableArray<string> Sites { get; } = ["Site1", "Site2", "Site3"];

    /// <summary>An operation with all that one may have.</summary>
    public static Operation Operation { get; } = new()
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

    /// <summary>A move of the replicant.</summary>
    public static ClosingEntry Closing { get; } = new(Operation with { Kind = OperationKind.Move, Credentials = [] }, ["Site1", "Site3"], DeletesReplica: true);

    /// <summary>A replicant with replicas at two sites.</summary>
    public static ReplicantRecord Replicant { get; } = new()
    {
        Key = Key,
        Resource = "images",
        Group = new GroupId(new UInt128(3, 4)),
        CreatedBy = Id,
        LocalIds = ImmutableSortedDictionary<string, string>.Empty.Add("Site1", "a").Add("Site2", "b"),
    };

    /// <summary>Comings and goings of each kind.</summary>
    public static ReplicantMoves Moves { get; } = new(
        Key, [.. Enum.GetValues<MoveMarkKind>().Select((kind, at) => new MoveMark(at + 1, kind, Id, new GroupId(new UInt128(5, 6)), ["Site1", "Site3"], at)
        {
            Former = kind == MoveMarkKind.Opened ? [new FormerSite("Site2", ["Site1", "Site2"], 4)] : [],
        })]);

    /// <summary>Entries of every tag, and of those that differ much within one.</summary>
    public static IReadOnlyList<GroupEntry> Entries { get; } =
    [
        new ProposedEntry(Operation),
        new ProposedEntry(Operation with { Kind = OperationKind.Update, Method = "PATCH", Body = default, BodyHash = new byte[32], BodySize = 1 << 20 }),
        new ProposedEntry(Operation with { Kind = OperationKind.Delete, HasBody = false, Body = default, UserGroups = [], Credentials = [] }),
        new OutcomeEntry(Id, "Site1", Decision.Accepted, "meta", Answer),
        new OutcomeEntry(Id, "Site1", Decision.Refused, "", new ServiceResult(409, "", "there is one"), Claim: 4),
        new AppliedEntry(Id, "Site2", SiteResult.Failed, Answer),
        new DeciderEntry(Id, "Site1", "Site2"),
        new ResolvedEntry(Id, "Site2", Resolve.Retry),
        new ResolvedEntry(Id, "Site2", Resolve.Done, "local-7", "meta"),
        Closing,
        new OpeningEntry(Id, Key, new GroupId(new UInt128(3, 4)), Sites, 5, Replicant, "", [Operation, Operation with { Kind = OperationKind.Update, Method = "PUT" }])
        {
            Former = [new FormerSite("Site4", ["Site1", "Site2", "Site4"], 3)],
        },
        new OpeningEntry(Id, Key, new GroupId(new UInt128(3, 4)), Sites, 5, null, "the service refused", []),
        new MovedEntry(Id, Key, 6),
        new FreedEntry(Id, Key),
        new RemovedEntry("Site2"),
        new AppliedManyEntry("Site2", [(Id, Answer with { Excerpt = "" }), (new OperationId(7), new ServiceResult(204, "", ""))]),
    ];

    /// <summary>Pieces that records are made of.</summary>
    public static IReadOnlyList<byte[]> Words { get; } =
    [
        [0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0x80], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        Text("Site1"), Text("Site2"), Text("Site3"), Text("Sité"), [.. "\u0010\0\0\0"u8, .. new byte[16]],
        .. new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16 }.Select(tag => new byte[] { 1, tag }),
        [0xC3, 0x28], [0xED, 0xA0, 0x80], "/v2"u8.ToArray(), "POST"u8.ToArray(), new byte[16], new byte[64],
    ];

    private static byte[] Text(string text) => [.. BitConverter.GetBytes(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];
}
