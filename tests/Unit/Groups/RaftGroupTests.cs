using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>The real host keeps the contract, over in-memory logs.</summary>
public sealed class RaftGroupTests : GroupContract
{
    protected override GroupCluster Make() => new RaftCluster(1);

    protected override GroupCluster MakePatient() => new RaftCluster(1)
    {
        Options = new GroupOptions
        {
            ElectionTimeMin = TimeSpan.FromSeconds(3),

            // A group that falls asleep between two operations is led in another term when it wakes.
            IdleTime = TimeSpan.FromSeconds(4),
            LeadTimeMin = TimeSpan.FromMilliseconds(300),

            // On a busy machine the first election may fail, and the next comes only after such a time.
            ProposeTimeMax = TimeSpan.FromSeconds(30),
        },
    };
}
