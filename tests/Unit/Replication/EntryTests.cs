using System.Collections.Immutable;
using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What a group's log and the table hold is read back as it was written, and nothing else is taken for it.</summary>
public sealed class EntryTests
{
    private static readonly ImmutableSortedDictionary<string, string> NoIds = ImmutableSortedDictionary<string, string>.Empty;

    private static readonly Gen<string> Name = Gen.Char['a', 'z'].Array[1, 20].Select(chars => new string(chars));
    private static readonly Gen<ReadOnlyMemory<byte>> Bytes = Gen.Byte.Array[0, 200].Select(bytes => (ReadOnlyMemory<byte>)bytes);
    private static readonly Gen<OperationId> Id = Gen.ULong[1, ulong.MaxValue].Select(value => new OperationId(value));
    private static readonly Gen<ReplicantKey> Key = Gen.Select(Name, Name, Name).Select(t => new ReplicantKey(t.Item1, "/" + t.Item2, t.Item3));
    private static readonly Gen<ServiceResult> Answer = Gen.Select(Gen.Int[0, 599], Name, Name).Select(t => new ServiceResult(t.Item1, t.Item2, t.Item3));

    // What an operation is, and how its body is kept: within itself, by its content, or not at all.
    private static readonly Gen<(OperationKind Kind, byte Operator, Repetition Repetition, byte[] Hash, bool HasBody)> Nature = Gen.Select(
        Gen.Byte[1, 3].Select(kind => (OperationKind)kind), Gen.Byte[0, 2], Gen.Byte[1, 3].Select(how => (Repetition)how), Gen.OneOf(Gen.Const(Array.Empty<byte>()), Gen.Byte.Array[32]), Gen.Bool);

    private static readonly Gen<Operation> AnyOperation = Gen.Select(Id, Key, Bytes, Bytes, Name.Array[0, 3], Name, Nature).Select(t => new Operation
    {
        Id = t.Item1,
        Kind = t.Item7.Kind,
        Operator = t.Item7.Operator,
        Repetition = t.Item7.Repetition,
        Origin = t.Item6 + "1",
        Replicant = t.Item2,
        Resource = t.Item6 + "s",
        Method = t.Item6[..1],
        Target = "/" + t.Item6,
        HasBody = t.Item7.HasBody,
        Fields = t.Item3,
        Body = t.Item7 is { HasBody: true, Hash: [] } ? t.Item4 : default,
        BodyHash = t.Item7.HasBody ? t.Item7.Hash : default,
        BodySize = t.Item7.HasBody ? t.Item4.Length : 0,
        User = t.Item6,
        UserGroups = [.. t.Item5],
        Credentials = [.. t.Item5.Select(site => (site, t.Item3))],
        AtUnixMs = t.Item3.Length,
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
    public void An_operation_is_read_back_with_all_that_it_says() => AnyOperation.Sample(operation =>
    {
        var read = Assert.IsType<ProposedEntry>(GroupEntry.Decode(new ProposedEntry(operation).Encode())).Operation;
        Assert.Equal(WithoutLists(operation), WithoutLists(read));
        Assert.Equal(operation.Fields.ToArray(), read.Fields.ToArray());
        Assert.Equal(operation.Body.ToArray(), read.Body.ToArray());
        Assert.Equal(operation.BodyHash.ToArray(), read.BodyHash.ToArray());
        Assert.Equal(operation.UserGroups.AsEnumerable(), read.UserGroups);
        Assert.Equal(operation.Credentials.Select(one => (one.Site, Convert.ToHexString(one.Sealed.Span))), read.Credentials.Select(one => (one.Site, Convert.ToHexString(one.Sealed.Span))));
    });

    // What is compared by its elements, and not as a whole.
    private static Operation WithoutLists(Operation operation) => operation with { Fields = default, Body = default, BodyHash = default, UserGroups = [], Credentials = [] };

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
    public void A_replicant_record_is_read_back_as_it_was_written() => Gen.Select(Key, Name, Id, Name.Array[0, 4], Gen.Byte[0, 2]).Sample(t =>
    {
        var record = new ReplicantRecord
        {
            Key = t.Item1,
            Operator = t.Item5,
            Resource = t.Item2,
            Group = GroupId.Of(["Site1", "Site2"]),
            CreatedBy = t.Item3,
            CreatedUnixMs = 42,
            Moves = t.Item4.Length,
            Method = t.Item2[..1],
            User = t.Item2,
            UserGroups = [.. t.Item4],
            LocalIds = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, t.Item4.Distinct().Select(site => KeyValuePair.Create(site, site + "!"))),
        };
        var read = ReplicantRecord.Decode(record.Encode());
        Assert.NotNull(read);
        Assert.Equal(WithoutLists(record), WithoutLists(read));
        Assert.Equal(record.UserGroups.AsEnumerable(), read.UserGroups);
        Assert.Equal(record.LocalIds.AsEnumerable(), read.LocalIds);
    });

    private static ReplicantRecord WithoutLists(ReplicantRecord record) => record with { UserGroups = [], LocalIds = NoIds };
}
