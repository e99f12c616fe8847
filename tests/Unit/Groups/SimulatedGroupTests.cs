using System.Text;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Cheops.Tests.Unit.Mesh;

namespace Cheops.Tests.Unit.Groups;

/// <summary>The twin keeps the contract, and fails as it is told to.</summary>
public sealed class SimulatedGroupTests : GroupContract
{
    protected override GroupCluster Make() => new SimulatedCluster(1);

    protected override GroupCluster MakePatient() => new SimulatedCluster(1, options: new GroupOptions { LeadTimeMin = TimeSpan.FromMilliseconds(300) });

    [Fact]
    public void Lost_leaders_leave_an_entry_committed_or_not_and_the_same_seed_gives_the_same_run()
    {
        var (first, unknown) = Run(7);
        Assert.Equal(first, Run(7).Entries);
        Assert.NotEmpty(unknown);
        Assert.Contains(unknown, first.Contains);
        Assert.Contains(unknown, e => !first.Contains(e));
    }

    private static (List<string> Entries, List<string> Unknown) Run(int seed)
    {
        var simulator = new Simulator();
        var machine = new ListMachine();
        var unknown = new List<string>();
        simulator.Run(async () =>
        {
            var groups = new SimulatedGroups(simulator.Time, new Random(seed), new SimulatedFaults { LeaderLostPerMille = 200 });
            var host = groups.Join("A", _ => machine);
            var other = groups.Join("B", _ => new ListMachine());
            var group = await host.FoundAsync(["A", "B"], null);
            for (var i = 0; i < 100; i++) await TryProposeAsync(group, $"e{i}", unknown);
            await group.BarrierAsync();
            await host.DisposeAsync();
            await other.DisposeAsync();
        });
        return (machine.Entries, unknown);
    }

    private static async Task TryProposeAsync(IReplicaGroup group, string entry, List<string> unknown)
    {
        try
        {
            await group.ProposeAsync(Encoding.ASCII.GetBytes(entry));
        }
        catch (GroupException e) when (e.Error == GroupError.Unknown)
        {
            Assert.False(e.SurelyNotCommitted);
            unknown.Add(entry);
        }
    }
}
