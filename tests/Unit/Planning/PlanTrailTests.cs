using Cheops.Agent.Planning;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Planning;

public class PlanTrailTests
{
    [Fact]
    public void Tells_what_each_location_did()
    {
        var trail = new PlanTrail();
        Assert.Equal("", trail.ToString());
        trail.Add(new SitePlan("Site1", true), AttemptOutcome.Answered(404));
        trail.Add(new SitePlan("Site-2.x", false), AttemptOutcome.NotReached);
        trail.Add(new SitePlan("Site3", false), AttemptOutcome.Lost);
        trail.Add(new FirstPlan([new SitePlan("a", false), new SitePlan("b", false)]), AttemptOutcome.Answered(503));
        trail.Add(new SitePlan("Site4", false), AttemptOutcome.Answered(200));
        Assert.Equal(
            "Site1;outcome=refused;status=404, Site-2.x;outcome=unreached, Site3;outcome=lost, "
            + "\"a; b\";outcome=failed;status=503, Site4;outcome=answered;status=200",
            trail.ToString());
    }

    [Fact]
    public void Is_bounded_and_says_how_many_are_left_out()
    {
        var trail = new PlanTrail();
        for (var i = 0; i < Bounds.PlanTrailCountMax + 7; i++)
            trail.Add(new SitePlan(new string('s', Bounds.SiteNameLengthMax), false), AttemptOutcome.Answered(404));
        Assert.EndsWith(", *;more=7", trail.ToString(), StringComparison.Ordinal);
        var wide = new PlanTrail();
        var plan = new AllPlan(default, [.. Enumerable.Range(0, 200).Select(Plan (i) => new SitePlan($"Site{i}", false))]);
        for (var i = 0; i < 100; i++)
            wide.Add(plan, AttemptOutcome.Answered(404));
        Assert.InRange(wide.ToString().Length, 1, 8192);
    }
}
