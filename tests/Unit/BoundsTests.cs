using Cheops.Proto;

namespace Cheops.Tests.Unit;

public sealed class BoundsTests
{
    [Fact]
    public void Bounds_relate_as_the_code_expects()
    {
        Assert.True(Bounds.TargetSizeMax < Bounds.HeadSizeMax, "a target fits into a head");
        Assert.True(Bounds.ScopeLengthMax < Bounds.TargetSizeMax, "a scope fits into a path prefix");
        Assert.True(2 * Bounds.ScopeLengthMax < Bounds.HeadAddedSizeMax, "a scope and more fit into what an agent adds to a head");
        Assert.True(
            Bounds.TableKeySizeMax + Bounds.TableValueSizeMax < (1 << Bounds.TablePageSizeBits) - 4096, "a record of the table fits on a page");
        Assert.True(Bounds.OperationTurnMaxMs + 10_000 < Bounds.OperationWaitMaxMs, "that an operation had no turn is recorded while its client waits");
        Assert.True(Bounds.AppliedManyMax * (Bounds.LocalIdSizeMax + 64) < Bounds.GroupEntrySizeMax, "what is told of together fits into an entry");
        Assert.True(2 * Bounds.NameSearchTimeMaxMs < Bounds.ApiTimeMaxMs, "a command is still there when a search for a name was given up");
        Assert.True(Bounds.ElsewhereTimeMaxMs < Bounds.ElsewhereKeepMs, "what sites are still asked of is not forgotten");
    }
}
