namespace Cheops.Tests.Unit.Groups;

/// <summary>The real host keeps the contract, over in-memory logs.</summary>
public sealed class RaftGroupTests : GroupContract
{
    protected override GroupCluster Make() => new RaftCluster(1);
}
