using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Replication;

/// <summary>What the table says of replicants.</summary>
public sealed class ReplicantsTests
{
    private const string MetaId = "5000000000000000";

    // As the profile of plain REST calls everything.
    private const string ConventionalResource = "resources";

    [Fact]
    public void A_put_that_came_in_where_the_replicant_was_not_known_leaves_its_ids()
    {
        var group = GroupId.Of(["Site1", "Site2"]);
        var replicants = new Replicants("Site1", ProfileSet.Combine([], out _), new MemoryReplicantTable(), _ => ["Site1", "Site2"]);
        var made = StateOf(1, "POST", "/v1/things");
        replicants.Made(group, made, "Site1", "17");
        replicants.ReplicaMade(group, made, "Site2", "23");
        replicants.Made(group, StateOf(2, "PUT", $"/v1/things/{MetaId}"), "Site2", "23");

        var record = replicants.Find(group, made.Key)!;
        Assert.Equal(made.Id, record.CreatedBy);
        Assert.Equal(["Site1=17", "Site2=23"], record.LocalIds.Select(one => $"{one.Key}={one.Value}"));
    }

    // After a start the table may have the group after, and not yet again what the group before says of who has left.
    [Fact]
    public void A_replica_of_a_site_that_has_left_is_forgotten_as_soon_as_that_is_known()
    {
        string[] sites = ["Site1", "Site2"];
        var (before, after) = (GroupId.Of(["Site1", "Site2", "Site3"]), GroupId.Of(sites));
        var made = StateOf(1, "POST", "/v1/things");
        var replicants = new Replicants("Site1", ProfileSet.Combine([], out _), new MemoryReplicantTable(), group => group == after ? [.. sites] : ["Site1", "Site2", "Site3"]);
        replicants.Made(before, made, "Site1", "17");
        var record = replicants.Find(before, made.Key)!;
        replicants.Opened(after, record with { Group = after, Moves = 1, LocalIds = record.LocalIds.SetItem("Site2", "23") }, before);
        replicants.ReplicaMade(before, made, "Site3", "41");
        replicants.Keep(before, new ReplicantMoves(made.Key, [new MoveMark(9, MoveMarkKind.Closed, new OperationId(8), after, [.. sites], 0)]));
        Assert.Equal(["Site1=17", "Site2=23"], replicants.Find(made.Key)!.LocalIds.Select(one => $"{one.Key}={one.Value}"));

        // Nor is it noted again.
        replicants.ReplicaMade(before, made, "Site3", "41");
        replicants.ReplicaMade(before, made, "Site2", "24");
        Assert.Equal(["Site1=17", "Site2=24"], replicants.Find(made.Key)!.LocalIds.Select(one => $"{one.Key}={one.Value}"));
    }

    // Both groups' entries are applied again at once after a start.
    [Fact]
    public async Task A_replicant_is_found_by_its_name_whatever_two_groups_make_of_it_at_the_same_time()
    {
        const int Rounds = 2_000;
        var (before, after) = (GroupId.Of(["Site1", "Site2"]), GroupId.Of(["Site1", "Site2", "Site3"]));
        var made = StateOf(1, "POST", "/v1/things");
        var record = new ReplicantRecord { Key = made.Key, Resource = "things", Group = after, CreatedBy = made.Id, Moves = 1 };
        var all = Enumerable.Range(0, Rounds).Select(_ => new Replicants("Site1", ProfileSet.Combine([], out var _), new MemoryReplicantTable(), _ => ["Site1", "Site2", "Site3"])).ToArray();
        foreach (var one in all) one.Made(before, made, "Site2", "23");
        using var together = new Barrier(2);
        var first = Task.Run(() => Each(one => one.ReplicaMade(before, made, "Site1", "17")));
        await Task.WhenAll(first, Task.Run(() => Each(one => one.Opened(after, record with { LocalIds = record.LocalIds.SetItem("Site1", "17") }, before))));
        foreach (var one in all)
        {
            Assert.Equal(after, one.Find("numbers", Encoding.ASCII.GetBytes($"/v1/things/{MetaId}"))?.Record?.Group);
            Assert.Equal(after, one.Find("numbers", "/v1/things/17"u8)?.Record?.Group);
            Assert.Null(one.Find(before, made.Key));
        }

        void Each(Action<Replicants> change)
        {
            foreach (var one in all)
            {
                together.SignalAndWait();
                change(one);
            }
        }
    }

    [Fact]
    public void A_replicant_with_another_id_here_has_three_keys_and_one_with_the_same_has_two()
    {
        var (replicants, table) = New();
        replicants.Import(Record("shop", "orders", "/v1/orders", "m", "m"));
        Assert.Equal(2, table.Count);
        replicants.Import(Record("shop", "orders", "/v1/orders", "n", "17"));

        // The service and the collection are noted, once.
        Assert.Equal(2 + 3 + 2, table.Count);
        replicants.Import(Record("shop", "orders", "/v1/orders", "o", "18"));
        Assert.Equal(2 + 3 + 2 + 3, table.Count);
        Assert.Equal("n", replicants.Find("shop", "/v1/orders/17"u8)?.MetaId);
        Assert.Equal("n", replicants.Find("shop", "/v1/orders/n"u8)?.MetaId);
        Assert.Equal("n", replicants.FindByMetaId("shop", "/v1/orders/n"u8)?.Key.MetaId);
        Assert.Null(replicants.FindByMetaId("shop", "/v1/orders/17"u8));
        Assert.True(replicants.MayName("shop", "/v1/orders/17"u8) && replicants.MayName("shop", "/v1/orders/n"u8) && replicants.MayName("shop", "/v1/orders/m"u8));
        Assert.False(replicants.MayName("shop", "/v1/orders/19"u8));
    }

    [Theory]
    [InlineData("shop", "orders", "/v1/orders", "m", "17")]
    [InlineData("shop", "orders", "/v1/orders", "m e/t", "1 7")]
    [InlineData("shop", "volumes", "/v1/acme/volumes", "m", "17")]
    [InlineData("other", ConventionalResource, "/things", "m", "17")]
    public void Ids_are_found_both_ways_whether_the_resource_tells_its_collection_or_not(string service, string resource, string collection, string metaId, string localId)
    {
        var (replicants, table) = New();
        var record = Record(service, resource, collection, metaId, localId);
        replicants.Import(record);
        var named = replicants.ResourceOf(record.Key, resource);
        Assert.True(replicants.TryToLocal(service, named, Encoding.UTF8.GetBytes(metaId), out var local));
        Assert.True(replicants.TryToMeta(service, named, Encoding.UTF8.GetBytes(localId), out var meta));
        Assert.Equal((localId, metaId), (local, meta));
        Assert.False(replicants.TryToLocal(service, named, Encoding.UTF8.GetBytes(localId), out _));
        Assert.False(replicants.TryToMeta(service, named, Encoding.UTF8.GetBytes(metaId), out _));

        replicants.Gone(record.Group, record.Key);
        Assert.False(replicants.TryToLocal(service, named, Encoding.UTF8.GetBytes(metaId), out _));
        Assert.False(replicants.TryToMeta(service, named, Encoding.UTF8.GetBytes(localId), out _));

        // What was noted stays.
        Assert.Equal(2, table.Count);
    }

    [Fact]
    public void What_is_the_id_here_of_one_and_the_meta_id_of_another_is_a_name_of_both()
    {
        var (replicants, table) = New();
        var (first, second) = (Record("shop", "orders", "/v1/orders", "x", "y"), Record("shop", "orders", "/v1/orders", "z", "x"));
        replicants.Import(second);
        replicants.Import(first);
        Assert.Equal("z", replicants.Find("shop", "/v1/orders/x"u8)?.MetaId);
        Assert.Equal("x", replicants.FindByMetaId("shop", "/v1/orders/x"u8)?.Key.MetaId);
        Assert.Equal(first.Key, replicants.Find(first.Key)?.Key);
        Assert.True(replicants.TryToLocal("shop", "orders", "x"u8, out var local) && local == "y");
        Assert.True(replicants.TryToMeta("shop", "orders", "x"u8, out var meta) && meta == "z");

        replicants.Gone(second.Group, second.Key);
        Assert.Equal("x", replicants.Find("shop", "/v1/orders/x"u8)?.MetaId);
        replicants.Gone(first.Group, first.Key);
        Assert.Null(replicants.Find("shop", "/v1/orders/x"u8));
        Assert.Equal(2, table.Count);
    }

    [Fact]
    public void A_replica_that_gets_its_id_here_later_leaves_nothing_of_the_time_before()
    {
        var (replicants, table) = New();
        var group = GroupId.Of(["Site1", "Site2"]);
        var made = StateOf(1, "POST", "/v1/things", ConventionalResource);
        replicants.Made(group, made, "Site2", "23");
        Assert.Equal(2, table.Count);
        replicants.ReplicaMade(group, made, "Site1", "17");
        Assert.Equal(3 + 2, table.Count);
        Assert.Equal(MetaId, replicants.Find("numbers", Encoding.ASCII.GetBytes($"/v1/things/{MetaId}"))?.MetaId);
        Assert.Equal(MetaId, replicants.Find("numbers", "/v1/things/17"u8)?.MetaId);
        replicants.Gone(group, made.Key);
        Assert.Equal(2, table.Count);
    }

    private static (Replicants Replicants, MemoryReplicantTable Table) New()
    {
        const string Profile = """
            { "profile": "p", "services": { "shop": { "resources": {
                "orders": { "collection": "/v1/orders" }, "volumes": { "collection": "/v1/{project}/volumes" } } } } }
            """;
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(Profile), out var profile, out _));
        var table = new MemoryReplicantTable();
        return (new Replicants("Site1", ProfileSet.Combine([profile!], out _), table, _ => ["Site1", "Site2"]), table);
    }

    private static ReplicantRecord Record(string service, string resource, string collection, string metaId, string localId) => new()
    {
        Key = new ReplicantKey(service, collection, metaId),
        Resource = resource,
        Group = GroupId.Of(["Site1", "Site2"]),
        LocalIds = ImmutableSortedDictionary<string, string>.Empty.Add("Site1", localId),
    };

    private static OperationState StateOf(int number, string method, string target, string resource = "things")
    {
        var operation = new Operation
        {
            Id = new OperationId((UInt128)number),
            Kind = OperationKind.Create,
            Repetition = Repetition.Lookup,
            Origin = "Site1",
            Replicant = new ReplicantKey("numbers", "/v1/things", MetaId),
            Resource = resource,
            Method = method,
            Target = target,
        };
        return new OperationState(operation, number, "Site1", ["Site1", "Site2"]);
    }
}
