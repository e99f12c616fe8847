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
