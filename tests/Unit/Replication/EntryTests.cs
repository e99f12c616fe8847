using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What a group's log and the table hold is read back as it was written, and nothing else is taken for it.</summary>
public sealed class EntryTests
{
    private static readonly Gen<string> Name = Gen.Char['a', 'z'].Array[1, 20].Select(chars => new string(chars));
    private static readonly Gen<ReadOnlyMemory<byte>> Bytes = Gen.Byte.Array[0, 200].Select(bytes => (ReadOnlyMemory<byte>)bytes);
    private static readonly Gen<OperationId> Id = Gen.ULong[1, ulong.MaxValue].Select(value => new OperationId(value));
    private static readonly Gen<ReplicantKey> Key = Gen.Select(Name, Name, Name).Select(t => new ReplicantKey(t.Item1, "/" + t.Item2, t.Item3));
    private static readonly Gen<ServiceResult> Answer = Gen.Select(Gen.Int[0, 599], Name, Name).Select(t => new ServiceResult(t.Item1, t.Item2, t.Item3));

    private static readonly Gen<Operation> AnyOperation = Gen.Select(Id, Key, Bytes, Bytes, Name.Array[0, 3], Name).Select(t => new Operation
    {
        Id = t.Item1,
        Kind = OperationKind.Update,
        Repetition = Repetition.Idempotent,
        Origin = "Site1",
        Replicant = t.Item2,
        Resource = "items",
        Method = "PUT",
        Target = "/items/1",
        HasBody = true,
        Fields = t.Item3,
        Body = t.Item4,
        BodySize = t.Item4.Length,
        User = t.Item6,
        UserGroups = [.. t.Item5],
        Credentials = [.. t.Item5.Select(site => (site, t.Item3))],
        AtUnixMs = 12,
    });

    private static readonly Gen<GroupEntry> AnyEntry = Gen.OneOf(
        AnyOperation.Select(GroupEntry (operation) => new ProposedEntry(operation)),
        Gen.Select(Id, Name, Answer, Name).Select(GroupEntry (t) => new OutcomeEntry(t.Item1, t.Item2, Decision.Refused, t.Item4, t.Item3)),
        Gen.Select(Id, Name, Answer).Select(GroupEntry (t) => new AppliedEntry(t.Item1, t.Item2, SiteResult.InDoubt, t.Item3)),
        Gen.Select(Name, Gen.Select(Id, Answer).Select(t => (t.Item1, t.Item2 with { Excerpt = "" })).Array[1, 5]).Select(GroupEntry (t) => new AppliedManyEntry(t.Item1, [.. t.Item2])),
        Gen.Select(Id, Name, Name).Select(GroupEntry (t) => new DeciderEntry(t.Item1, t.Item2, t.Item3)),
        Gen.Select(Id, Name, Name).Select(GroupEntry (t) => new ResolvedEntry(t.Item1, t.Item2, Resolve.Done, t.Item3, t.Item2)),
        Gen.Select(AnyOperation, Name.Array[1, 3], Gen.Bool).Select(GroupEntry (t) => new ClosingEntry(t.Item1 with { Kind = OperationKind.Move }, [.. t.Item2], t.Item3)),
        Gen.Select(AnyOperation, Name.Array[1, 3], Gen.Bool).Select(GroupEntry (t) => new OpeningEntry(
            t.Item1.Id, t.Item1.Replicant, GroupId.Of(t.Item2), [.. t.Item2], 7, t.Item3 ? RecordOf(t.Item1) : null, t.Item3 ? "" : "called off", t.Item3 ? [t.Item1] : [])
        {
            Former = t.Item3 ? [new FormerSite(t.Item2[0], [.. t.Item2], 3)] : [],
        }),
        Gen.Select(Id, Key).Select(GroupEntry (t) => new MovedEntry(t.Item1, t.Item2, 9)),
        Gen.Select(Id, Key).Select(GroupEntry (t) => new FreedEntry(t.Item1, t.Item2)),
        Name.Select(GroupEntry (site) => new RemovedEntry(site)));

    private static ReplicantRecord RecordOf(Operation operation) => new()
    {
        Key = operation.Replicant,
        Resource = operation.Resource,
        Group = GroupId.Of(["Site1"]),
        CreatedBy = operation.Id,
        Method = "PUT",
        User = operation.User,
        UserGroups = operation.UserGroups,
    };

    [Fact]
    public void An_entry_is_read_back_as_it_was_written() => AnyEntry.Sample(entry =>
    {
        var bytes = entry.Encode();
        var read = GroupEntry.Decode(bytes);
        Assert.NotNull(read);
        Assert.Equal(bytes.ToArray(), read.Encode().ToArray());
        if (entry is not (ProposedEntry or ClosingEntry or OpeningEntry)) Assert.Equal(entry, read);
    });

    [Fact]
    public void No_prefix_of_an_entry_and_nothing_longer_is_one() => AnyEntry.Sample(
        entry =>
        {
            var bytes = entry.Encode();
            for (var length = 0; length < bytes.Length; length++) Assert.Null(GroupEntry.Decode(bytes[..length]));
            Assert.Null(GroupEntry.Decode((byte[])[.. bytes.Span, 0]));
        },
        iter: 50);

    [Fact]
    public void Any_bytes_are_an_entry_or_none() => Gen.Select(AnyEntry, Gen.Int[0, 10_000], Gen.Byte).Sample(t =>
    {
        var bytes = t.Item1.Encode().ToArray();
        bytes[t.Item2 % bytes.Length] = t.Item3;
        if (GroupEntry.Decode(bytes) is { } read) Assert.NotNull(GroupEntry.Decode(read.Encode()));
    });

    [Fact]
    public void A_replicant_record_is_read_back_as_it_was_written() => Gen.Select(Key, Name, Id, Name.Array[0, 4]).Sample(t =>
    {
        var record = new ReplicantRecord
        {
            Key = t.Item1,
            Resource = t.Item2,
            Group = GroupId.Of(["Site1", "Site2"]),
            CreatedBy = t.Item3,
            CreatedUnixMs = 42,
            LocalIds = System.Collections.Immutable.ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, t.Item4.Distinct().Select(site => KeyValuePair.Create(site, site + "!"))),
        };
        var read = ReplicantRecord.Decode(record.Encode());
        Assert.Equal(record.Encode().ToArray(), read?.Encode().ToArray());
        Assert.Equal(record.Key, read?.Key);
    });
}
