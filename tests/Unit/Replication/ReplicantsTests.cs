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

    private static OperationState StateOf(int number, string method, string target)
    {
        var operation = new Operation
        {
            Id = new OperationId((UInt128)number),
            Kind = OperationKind.Create,
            Repetition = Repetition.Lookup,
            Origin = "Site1",
            Replicant = new ReplicantKey("numbers", "/v1/things", MetaId),
            Resource = "things",
            Method = method,
            Target = target,
        };
        return new OperationState(operation, number, "Site1", ["Site1", "Site2"]);
    }
}
