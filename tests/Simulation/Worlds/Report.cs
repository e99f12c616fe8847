using System.Globalization;
using System.Text;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What a person is told of a run.</summary>
internal static class Report
{
    private const int StoryLinesMax = 400;

    /// <summary>One line for a run.</summary>
    public static string Line(Scenario scenario, Outcome outcome, TimeSpan took) => string.Create(
        CultureInfo.InvariantCulture,
        $"seed {scenario.Seed}: {(outcome.Violations.IsEmpty ? "ok" : $"FAILED ({outcome.Violations[0].Promise})")}, {outcome.Simulated.TotalSeconds:0} s simulated in {took.TotalMilliseconds:0} ms, {outcome.Counts}, trace {outcome.Trace:x16}");

    /// <summary>All of a run that failed: what it broke, the scenario, the story of what is concerned.</summary>
    public static string Whole(Scenario scenario, Outcome outcome)
    {
        var text = new StringBuilder();
        foreach (var violation in outcome.Violations.Take(10)) text.Append(CultureInfo.InvariantCulture, $"  broken: {violation.Promise}: {violation.Detail}\n");
        text.Append(CultureInfo.InvariantCulture, $"  the scenario, {scenario.Steps.Length} steps; leader lost {scenario.LeaderLostPerMille}/1000, forgets commit {scenario.ForgetsCommit}, loss {scenario.Loss:0.000}, duplication {scenario.Duplication:0.000}, jitter {scenario.JitterMs} ms:\n");
        foreach (var step in scenario.Steps) text.Append(CultureInfo.InvariantCulture, $"    {step}{(step is Ask ask ? $" of {string.Join(" & ", scenario.Things[ask.Thing])}" : "")}\n");
        var lines = outcome.Story.About(outcome.Concerned).ToArray();
        text.Append(CultureInfo.InvariantCulture, $"  the story{(outcome.Concerned.Count > 0 ? $" of {string.Join(", ", outcome.Concerned)}" : "")}{(lines.Length > StoryLinesMax ? $", the first {StoryLinesMax} of {lines.Length} lines" : "")}:\n");
        foreach (var line in lines.Take(StoryLinesMax)) text.Append("    ").Append(line).Append('\n');
        return text.ToString();
    }
}
