using System.Text.Json;
using System.Text.Json.Nodes;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What A tells of B, true up to the edge of what is promised, and each way to lie.</summary>
public sealed class SitesJudgeTests
{
    private static readonly SitesPromise Promise = new(SilentMax: Seconds(4), DelayMax: Seconds(0.05), MetMax: Seconds(10), LosesNothing: true);

    private readonly Reachability _reachability = new();

    public SitesJudgeTests()
    {
        foreach (var site in new[] { "A", "B" }) _reachability.OnSite(site, true, 0);
    }

    private static long Seconds(double seconds) => (long)(seconds * TimeSpan.TicksPerSecond);

    private static JsonObject Self(string name = "A") => new() { ["name"] = name, ["self"] = true, ["state"] = "up" };

    private static JsonObject Other(string state = "up", double? heard = 0.5) => new() { ["name"] = "B", ["self"] = false, ["state"] = state, ["heardSecondsAgo"] = heard };

    private static JsonObject Measured(double? ago, double ms = 1, double? heard = 0.5)
    {
        var told = Other("draining", heard);
        (told["roundTripMs"], told["roundTripSecondsAgo"]) = (ms, ago);
        return told;
    }

    private string[] Lies(double now, SitesPromise promise, params JsonObject[] told)
    {
        using var document = JsonDocument.Parse(new JsonArray([.. told.Select(one => one.DeepClone())]).ToJsonString());
        return [.. new SitesJudge(["A", "B"], _reachability, promise).Judge("A", Seconds(now), document.RootElement)];
    }

    private void AssertTrue(double now, JsonObject told) => Assert.Empty(Lies(now, Promise, Self(), told));

    private void AssertLie(string lie, double now, JsonObject told) => Assert.Equal(lie, Assert.Single(Lies(now, Promise, Self(), told)));

    [Theory]
    [InlineData("up")]
    [InlineData("draining")]
    public void A_site_that_is_there_is_told_so(string state)
    {
        AssertTrue(9, Other(state));
        AssertTrue(30, Other(state, 0));
        AssertTrue(30, Measured(0.5));
        AssertTrue(30, Measured(null));
    }

    [Fact]
    public void A_site_that_was_heard_when_it_was_down_is_found()
    {
        // The age may be off by 2 ms and a two-thousandth, twice, and what was sent last is heard up to 50 ms later.
        _reachability.OnSite("B", false, Seconds(20));
        AssertTrue(30, Other("down", 9.937));
        AssertLie("A tells that B is down, heard 9.935 s ago, when it could not send to it", 30, Other("down", 9.935));
    }

    [Fact]
    public void A_site_that_was_heard_while_its_way_was_cut_is_found()
    {
        _reachability.OnWay("B", "A", true, Seconds(20));
        _reachability.OnWay("B", "A", false, Seconds(25));
        AssertTrue(30, Other("down", 4.997));
        AssertLie("A tells that B is down, heard 5.006 s ago, when it could not send to it", 30, Other("down", 5.006));
    }

    [Fact]
    public void Who_stands_still_hears_later_what_came_meanwhile_and_nothing_long_after()
    {
        _reachability.OnStill("A", Seconds(10), Seconds(20));
        _reachability.OnSite("B", false, Seconds(12));
        AssertTrue(20.5, Other(heard: 0.46));
        AssertLie("A tells that B is up, heard 0.440 s ago, when it could not send to it", 20.5, Other(heard: 0.44));
    }

    [Theory]
    [InlineData("up")]
    [InlineData("draining")]
    public void A_site_that_is_told_as_up_and_was_not_heard_for_long_is_found(string state)
    {
        AssertTrue(30, Other(state, 4));
        AssertLie($"A tells that B is {state}, and has not heard it for 4.001 s", 30, Other(state, 4.001));
        AssertLie($"A tells that B is {state}, and has not heard it for -1.000 s", 30, Other(state, null));
    }

    [Fact]
    public void A_site_that_is_told_as_up_and_cannot_have_heard_us_is_found()
    {
        _reachability.OnWay("A", "B", true, Seconds(10));
        AssertTrue(14.05, Other());
        AssertLie("A tells that B is up, and could send nothing to it for long", 14.051, Other());
        AssertTrue(14.051, Other("down"));
    }

    [Fact]
    public void Who_stood_still_has_not_noticed_yet_that_it_cannot_be_heard()
    {
        _reachability.OnWay("A", "B", true, Seconds(10));
        _reachability.OnStill("A", Seconds(14.05), Seconds(20));
        AssertTrue(20, Other());
        AssertTrue(28.05, Other());
        AssertLie("A tells that B is up, and could send nothing to it for long", 28.051, Other());
    }

    [Theory]
    [InlineData("down")]
    [InlineData("silent")]
    [InlineData("unknown")]
    [InlineData("incompatible")]
    public void A_site_that_is_not_told_as_up_although_nothing_is_wrong_is_found(string state)
    {
        AssertTrue(10, Other(state));
        AssertLie($"A tells that B is {state}, although nothing was wrong for 10 s", 10.001, Other(state));
        Assert.Empty(Lies(10.001, Promise with { LosesNothing = false }, Self(), Other(state)));
    }

    [Theory]
    [InlineData("A", "B")]
    [InlineData("B", "A")]
    public void A_way_that_was_cut_a_moment_ago_is_something_wrong(string from, string to)
    {
        _reachability.OnWay(from, to, true, Seconds(12));
        _reachability.OnWay(from, to, false, Seconds(13));
        AssertTrue(22, Other("down"));
        AssertLie("A tells that B is down, although nothing was wrong for 10 s", 23, Other("down"));
    }

    [Fact]
    public void An_age_that_is_still_to_come_is_found()
    {
        AssertTrue(30, Measured(0, heard: 0));
        AssertLie("A tells that B is down, and of something that is 0.001 s ahead", 30, Other("down", -0.001));
        AssertLie("A tells that B is draining, and of something that is 2.000 s ahead", 30, Measured(-2));
    }

    [Fact]
    public void A_round_trip_that_was_measured_when_nothing_was_heard_is_found()
    {
        _reachability.OnSite("B", false, Seconds(20));
        _reachability.OnSite("B", true, Seconds(25));
        AssertTrue(30, Measured(9.937));
        AssertTrue(30, Measured(4.997));
        AssertLie("A tells of a round trip to B 9.935 s ago, when it could not send to it", 30, Measured(9.935));
    }

    [Fact]
    public void A_round_trip_that_is_younger_than_what_was_heard_is_found()
    {
        AssertTrue(30, Measured(0.498));
        AssertLie("A tells of a round trip to B 0.497 s ago, and has not heard it since 0.500 s", 30, Measured(0.497));
        Assert.Contains("A tells of a round trip to B 0.497 s ago, and has not heard it since -1.000 s", Lies(30, Promise, Self(), Measured(0.497, heard: null)));
    }

    [Fact]
    public void A_round_trip_of_less_than_nothing_is_found()
    {
        AssertTrue(30, Measured(0.5, ms: 0));
        AssertLie("A tells of a round trip to B of -0.5 ms", 30, Measured(0.5, ms: -0.5));
    }

    [Fact]
    public void A_site_that_takes_itself_for_another_one_is_found()
    {
        var (other, self) = (Self("B"), Other());
        self["name"] = "A";
        Assert.Equal(["A tells that it is B"], Lies(9, Promise, other, self));
        self["name"] = "B";
        Assert.Equal(["A tells that it is no site", "A tells of the sites B, and there are A, B"], Lies(9, Promise, self));
        Assert.Equal(["A tells that it is A and B"], Lies(9, Promise, Self(), other));
    }

    [Fact]
    public void Sites_that_are_left_out_or_made_up_are_found()
    {
        var unknown = Other("down");
        unknown["name"] = "C";
        Assert.Equal(["A tells of the sites A, and there are A, B"], Lies(30, Promise, Self()));
        Assert.Equal(["A tells of the sites A, B, C, and there are A, B"], Lies(30, Promise, Self(), Other(), unknown));
        Assert.Equal(["A tells of the sites A, B, B, and there are A, B"], Lies(30, Promise, Self(), Other(), Other()));
    }
}
