namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Somebody waits at a site until all that is committed in one of its groups is there, and reads how far that is.</summary>
/// <param name="AtMs">When.</param>
/// <param name="Site">Where.</param>
/// <param name="Which">Which of the groups there, by number.</param>
internal sealed record ReadLog(int AtMs, string Site, int Which) : Step(AtMs);

/// <summary>
/// What later versions have added to scenarios. It is drawn from chance of its own, so that seeds kept before it was there still
/// stand for what they stood for.
/// </summary>
internal static class Extras
{
    /// <summary>Adds clients that ask again, readers of logs, and more times of day that jump.</summary>
    /// <param name="scenario">The scenario without.</param>
    /// <param name="lengthMs">How long its steps take.</param>
    public static Scenario Add(Scenario scenario, int lengthMs)
    {
        var chance = new Random(unchecked((scenario.Seed * 31) + 7));
        var asks = scenario.Steps.Select(step => step is Ask { Deed: not (Deed.Read or Deed.ReadThere) } ask && chance.Next(2) == 0 ? Retrying(ask, chance) : step).ToArray();
        var reads = Enumerable.Range(0, chance.Next(5, 25)).Select(_ => new ReadLog(chance.Next(lengthMs), scenario.Sites[chance.Next(scenario.Sites.Length)], chance.Next(100)));
        var jumps = Enumerable.Range(0, chance.Next(4) == 0 ? chance.Next(1, 5) : 0).Select(_ => new ClockJump(chance.Next(lengthMs), scenario.Sites[chance.Next(scenario.Sites.Length)], chance.Next(-3_600_000, 3_600_000)));
        return scenario with { Steps = [.. asks.Concat(reads.ToArray()).Concat(jumps.ToArray()).OrderBy(step => step.AtMs)] };
    }

    /// <summary>Makes, in one world of three, uploads of half of what replaces or adds. By chance of its own, too.</summary>
    public static Scenario WithUploads(Scenario scenario)
    {
        var chance = new Random(unchecked((scenario.Seed * 7_919) + 11));
        if (chance.Next(3) > 0) return scenario;
        return scenario with { Steps = [.. scenario.Steps.Select(step => step is Ask { Deed: Deed.Put or Deed.Patch } ask && chance.Next(2) == 0 ? ask with { Deed = Deed.Upload } : step)] };
    }

    private static Ask Retrying(Ask ask, Random chance) =>
        ask with { Retries = chance.Next(1, 3), RetryAfterMs = chance.Next(3) == 0 ? chance.Next(1, 50) : chance.Next(50, 6_000), RetriesElsewhere = chance.Next(3) == 0 };
}

/// <summary>How wide a world is.</summary>
internal sealed record Width
{
    /// <summary>Most sites in a scope.</summary>
    public int ScopeMax { get; init; } = 5;

    /// <summary>How long its steps take at most.</summary>
    public int LengthMaxMs { get; init; } = 60_000;

    /// <summary>Draws it: one world in 25 has more than five sites, one in 150 more than twenty; these are short, since each site hears every other one.</summary>
    /// <param name="seed">The world's seed.</param>
    /// <param name="wishes">What is wished for; where it says nothing of sites and there are many, it is told how many.</param>
    public static Width Of(int seed, ref Wishes wishes)
    {
        var chance = new Random(unchecked((seed * 17) + 3));
        var drawn = chance.Next(150) switch { 0 => chance.Next(21, 51), < 6 => chance.Next(6, 21), _ => 0 };
        if (wishes.Sites == 0 && drawn > 0) wishes = wishes with { Sites = drawn, Asks = Math.Min(wishes.Asks, 40) };
        if (wishes.Sites <= 5) return new Width();
        return new Width { ScopeMax = chance.Next(2) == 0 ? 5 : 9, LengthMaxMs = wishes.Sites > 20 ? 8_000 : 20_000 };
    }
}
