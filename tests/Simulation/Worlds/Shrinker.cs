
namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Leaves out of a scenario whatever it breaks its promise without: many steps at once first, then fewer.</summary>
internal static class Shrinker
{
    private const int RunsMax = 300;

    /// <summary>The smallest scenario found that breaks the same promise, and what comes of it.</summary>
    /// <param name="scenario">One that breaks a promise.</param>
    /// <param name="outcome">What came of it.</param>
    /// <param name="run">Runs one.</param>
    public static (Scenario Scenario, Outcome Outcome) Shrink(Scenario scenario, Outcome outcome, Func<Scenario, Outcome> run)
    {
        var promise = outcome.Violations[0].Promise;
        var runs = 0;
        foreach (var calmer in (Func<Scenario, Scenario>[])[
            one => one with { Loss = 0 }, one => one with { Duplication = 0 }, one => one with { JitterMs = 0 }, one => one with { DriftPpm = 0 }, one => one with { BulkDelayMs = 0 },
            one => one with { LeaderLostPerMille = 0 }, one => one with { ForgetsCommit = false }])
            Try(calmer(scenario));

        for (var size = scenario.Steps.Length / 2; size > 0; size = size > 1 ? size / 2 : Shrunk() ? 1 : 0)
        {
            for (var at = 0; at < scenario.Steps.Length && runs < RunsMax;)
            {
                if (!Try(scenario with { Steps = scenario.Steps.RemoveRange(at, Math.Min(size, scenario.Steps.Length - at)) })) at += size;
            }
        }

        return (scenario, outcome);

        bool Try(Scenario smaller)
        {
            if (++runs > RunsMax) return false;
            var tried = run(smaller);
            if (!tried.Violations.Any(violation => violation.Promise == promise)) return false;
            (scenario, outcome) = (smaller, tried);
            return true;
        }

        // Once more over single steps for as long as that helps.
        bool Shrunk()
        {
            var before = scenario.Steps.Length;
            for (var at = scenario.Steps.Length - 1; at >= 0 && runs < RunsMax; at--) Try(scenario with { Steps = scenario.Steps.RemoveAt(at) });
            return scenario.Steps.Length < before;
        }
    }
}
