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
            IdleTime = TimeSpan.FromSeconds(1),
            LeadTimeMin = TimeSpan.FromMilliseconds(300),
        },
    };
}
