using System.Collections.Immutable;
using Cheops.Tests.Simulation.Checkers;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What a person is told of a seed that failed: the smallest scenario, and the story of what is concerned.</summary>
public sealed class StoryTests
{
    private static readonly Scenario Some = Scenario.Of(1, new Wishes { Sites = 4 }) with { Loss = 0.01, JitterMs = 20, LeaderLostPerMille = 15 };

    private static Outcome Outcome(params string[] broken)
    {
        var story = new Story();
        story.Tell(TimeSpan.TicksPerSecond / 2, "Site1", "name1", "of name1");
        story.Tell(TimeSpan.TicksPerSecond, "Site2", "name2", "of name2");
        story.Tell(2 * TimeSpan.TicksPerSecond, "world", null, "of all");
        return new Outcome([.. broken.Select(promise => new Violation(promise, "how"))], story, 0xab, TimeSpan.FromSeconds(3), "counts") { Concerned = ["name1"] };
    }

    [Fact]
    public void A_scenario_is_shrunk_to_what_breaks_the_promise()
    {
        // It is broken when a crash of Site2 comes before two certain requests, where messages are lost.
        var needed = Some.Steps.OfType<Ask>().Skip(20).Take(2).ToArray();
        var crash = new Crash(needed[0].AtMs - 1, "Site2", 1, 1);
        var scenario = Some with { Steps = [.. Some.Steps.Add(crash).OrderBy(step => step.AtMs)] };
        var runs = 0;
        Outcome Run(Scenario one)
        {
            runs++;
            return one.Loss > 0 && one.Steps.Contains(crash) && needed.All(one.Steps.Contains) ? Outcome("a promise", "another") : Outcome("another");
        }

        var (smallest, outcome) = Shrinker.Shrink(scenario, Run(scenario), Run);
        Assert.Equal<Step>([crash, .. needed], smallest.Steps.ToArray());
        Assert.Equal((0.01, 0, 0), (smallest.Loss, smallest.JitterMs, smallest.LeaderLostPerMille));
        Assert.Equal("a promise", outcome.Violations[0].Promise);
        Assert.InRange(runs, 2, 301);
    }

    [Fact]
    public void Nothing_is_left_out_of_a_scenario_that_needs_all()
    {
        var scenario = Some with { Steps = [.. Some.Steps.Take(6)], Loss = 0 };
        var (smallest, _) = Shrinker.Shrink(scenario, Outcome("a promise"), one => one == scenario ? Outcome("a promise") : Outcome());
        Assert.Equal(scenario, smallest);
    }

    [Fact]
    public void A_story_is_told_of_what_is_concerned_and_of_what_may_concern_all()
    {
        var story = Outcome().Story;
        Assert.Equal(["    0.5000 s  Site1    of name1", "    2.0000 s  world    of all"], story.About(ImmutableHashSet.Create("name1")));
        Assert.Equal(3, story.About(ImmutableHashSet<string>.Empty).Count());
    }

    [Fact]
    public void A_line_tells_how_a_seed_went()
    {
        Assert.Equal("seed 1: ok, 3 s simulated in 5 ms, counts, trace 00000000000000ab", Report.Line(Some, Outcome(), TimeSpan.FromMilliseconds(5)));
        Assert.StartsWith("seed 1: FAILED (a promise), 3 s", Report.Line(Some, Outcome("a promise"), TimeSpan.FromMilliseconds(5)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_report_tells_what_is_broken_what_was_to_happen_and_what_did()
    {
        var report = Report.Whole(Some, Outcome("a promise"));
        Assert.Contains("broken: a promise: how", report, StringComparison.Ordinal);
        Assert.All(Some.Steps, step => Assert.Contains(step.ToString(), report, StringComparison.Ordinal));
        Assert.Contains("the story of name1:", report, StringComparison.Ordinal);
        Assert.Contains("of all", report, StringComparison.Ordinal);
        Assert.DoesNotContain("of name2", report, StringComparison.Ordinal);
    }
}
