namespace Cheops.Tests.Simulation.Checkers;

/// <summary>Who could send to whom.</summary>
public sealed class ReachabilityTests
{
    private readonly Reachability _reachability = new();

    [Fact]
    public void A_site_sends_while_it_is_up_and_the_way_is_there()
    {
        Assert.False(_reachability.Could("A", "B", 0, 100));
        _reachability.OnSite("A", true, 10);
        _reachability.OnWay("A", "B", true, 20);
        _reachability.OnWay("A", "B", false, 30);
        _reachability.OnSite("A", false, 40);
        Assert.False(_reachability.Could("A", "B", 0, 9));
        Assert.True(_reachability.Could("A", "B", 0, 10));
        Assert.True(_reachability.Could("A", "B", 20, 20));
        Assert.False(_reachability.Could("A", "B", 21, 29));
        Assert.True(_reachability.Could("A", "B", 20, 30));
        Assert.True(_reachability.Could("A", "B", 40, 40));
        Assert.False(_reachability.Could("A", "B", 41, 100));
        Assert.True(_reachability.Could("A", "C", 20, 25));
        Assert.True(_reachability.CouldAlways("A", "B", 10, 19));
        Assert.False(_reachability.CouldAlways("A", "B", 10, 20));
        Assert.True(_reachability.CouldAlways("A", "B", 30, 39));
        Assert.False(_reachability.CouldAlways("A", "B", 35, 50));
    }

    [Fact]
    public void A_site_that_stands_still_sends_nothing()
    {
        _reachability.OnSite("A", true, 0);
        _reachability.OnStill("A", 10, 20);
        _reachability.OnStill("A", 15, 30);
        Assert.False(_reachability.Could("A", "B", 11, 29));
        Assert.True(_reachability.Could("A", "B", 11, 30));
        Assert.False(_reachability.CouldAlways("A", "B", 5, 12));
        Assert.Equal(10, _reachability.StillSince("A", 25, 0));
        Assert.Equal(10, _reachability.StillSince("A", 33, 5));
        Assert.Equal(36, _reachability.StillSince("A", 36, 5));
    }

    [Fact]
    public void A_site_that_is_started_anew_does_not_stand_still()
    {
        _reachability.OnSite("A", true, 0);
        _reachability.OnStill("A", 10, 50);
        _reachability.OnSite("A", false, 20);
        _reachability.OnSite("A", true, 30);
        Assert.False(_reachability.Could("A", "B", 11, 19));
        Assert.False(_reachability.Could("A", "B", 21, 29));
        Assert.True(_reachability.Could("A", "B", 21, 30));
    }
}
