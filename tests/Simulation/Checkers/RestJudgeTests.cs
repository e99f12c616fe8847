namespace Cheops.Tests.Simulation.Checkers;

/// <summary>When all is at rest, what is not, and what tables may say then.</summary>
public sealed class RestJudgeTests
{
    private static readonly GroupProgress Done = new(7, 7, 0, 0);

    [Fact]
    public void A_group_whose_sites_have_done_all_is_at_rest()
    {
        Assert.True(RestJudge.IsAtRest([Done, Done]));
        Assert.True(RestJudge.IsAtRest([Done with { Last = 0, Applied = 0 }]));
    }

    [Theory]
    [InlineData(8, 8, 0, 0)]
    [InlineData(7, 6, 0, 0)]
    [InlineData(7, 7, 1, 0)]
    [InlineData(7, 7, 0, 1)]
    public void A_group_with_a_site_that_is_behind_or_has_something_left_to_do_is_not_at_rest(long last, long applied, int open, int moving)
    {
        Assert.False(RestJudge.IsAtRest([Done, new GroupProgress(last, applied, open, moving)]));
        Assert.False(RestJudge.IsAtRest([new GroupProgress(last, applied, open, moving), Done]));
    }

    private static string? Ids(params KnownId[] ids) => RestJudge.JudgeIds("A", "shop /v1/numbers/17", ids);

    [Fact]
    public void Ids_that_stand_for_one_thing_are_true()
    {
        Assert.Null(Ids(new KnownId("A", "1", "number3", false)));
        Assert.Null(Ids(new KnownId("A", "1", "number3", false), new KnownId("B", "2", "number3", false)));
        Assert.Null(Ids(new KnownId("A", "1", "number3", false), new KnownId("B", "2", null, true)));
    }

    [Fact]
    public void An_id_of_nothing_is_found()
    {
        Assert.Equal("A knows shop /v1/numbers/17 as 1 at A, 2 at B, which is nothing and number3", Ids(new KnownId("A", "1", "number3", false), new KnownId("B", "2", null, false)));
        Assert.Equal("A knows shop /v1/numbers/17 as 1 at A, which is nothing", Ids(new KnownId("A", "1", null, false)));
    }

    [Fact]
    public void Ids_of_two_things_are_found() =>
        Assert.Equal("A knows shop /v1/numbers/17 as 1 at A, 2 at B, which is number3 and number4", Ids(new KnownId("A", "1", "number3", false), new KnownId("B", "2", "number4", false)));

    [Fact]
    public void A_replicant_without_any_replica_that_is_left_is_found() =>
        Assert.Equal("A knows shop /v1/numbers/17 as 2 at B, which is ", Ids(new KnownId("B", "2", null, true)));
}
