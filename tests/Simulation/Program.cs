using System.Diagnostics;
using System.Globalization;
using Cheops.Tests.Simulation.Worlds;

namespace Cheops.Tests.Simulation;

/// <summary>What scripts/simulate runs.</summary>
internal static class Program
{
    private const string Help = """
        simulate [--seeds N] [--seed S] [--sites N] [--steps N] [--changes 0|1] [--no-extras] [--no-shrink]

          --seeds N    how many worlds, each from a seed of its own (default 100)
          --seed S     the first seed (default: by chance)
          --sites N    how many sites, 2 to 50 (default: by the seed 3 to 5, now and then more)
          --steps N    how many requests clients make (default 60)
          --no-extras  a seed as it was before clients asked again (in seeds.txt: one without +)
          --changes 1  lets sites come and go in all worlds, 0 in none (default: in some, by the seed)
          --no-shrink  tells the story of a failing seed as it is
        """;

    public static int Main(string[] args)
    {
        if (!TryRead(args, out var seeds, out var seed, out var wishes, out var shrinks))
        {
            Console.Error.WriteLine(Help);
            return 2;
        }

        var failed = 0;
        var (simulated, watch) = (TimeSpan.Zero, Stopwatch.StartNew());

        // Each world is one thread's; they are told of in the order of their seeds.
        var worlds = Enumerable.Range(0, seeds).AsParallel().AsOrdered().WithMergeOptions(ParallelMergeOptions.NotBuffered).Select(i =>
        {
            var (scenario, own) = (Scenario.Of(unchecked(seed + i), wishes), Stopwatch.StartNew());
            return (Scenario: scenario, Outcome: World.Run(scenario), Took: own.Elapsed);
        });
        foreach (var (told, found, took) in worlds)
        {
            var (scenario, outcome) = (told, found);
            Console.WriteLine(Report.Line(scenario, outcome, took));
            simulated += outcome.Simulated;
            if (outcome.Violations.IsEmpty) continue;
            failed++;
            if (shrinks) (scenario, outcome) = Shrinker.Shrink(scenario, outcome, World.Run);
            Console.WriteLine(Report.Whole(scenario, outcome));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{seeds} seeds, {failed} failed; {simulated.TotalMinutes:0} min simulated in {watch.Elapsed.TotalSeconds:0} s, {simulated / watch.Elapsed:0} times as fast as real time"));
        return failed == 0 ? 0 : 1;
    }

    private static bool TryRead(string[] args, out int seeds, out int seed, out Wishes wishes, out bool shrinks)
    {
        (seeds, seed, wishes, shrinks) = (100, Random.Shared.Next(), new Wishes(), true);
        for (var i = 0; i < args.Length; i++)
        {
            if (args[i] == "--no-shrink")
            {
                shrinks = false;
                continue;
            }

            if (args[i] == "--no-extras")
            {
                wishes = wishes with { HasExtras = false };
                continue;
            }

            if (i + 1 == args.Length || !int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
            switch (args[i++])
            {
                case "--seeds" when number > 0:
                    seeds = number;
                    break;
                case "--seed":
                    seed = number;
                    break;
                case "--sites" when number is >= 2 and <= 50:
                    wishes = wishes with { Sites = number };
                    break;
                case "--changes" when number is 0 or 1:
                    wishes = wishes with { Changes = number == 1 };
                    break;
                case "--steps" when number > 0:
                    wishes = wishes with { Asks = number };
                    break;
                default:
                    return false;
            }
        }

        return true;
    }
}
