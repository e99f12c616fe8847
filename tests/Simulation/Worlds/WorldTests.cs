using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Xunit.Abstractions;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>Whole meshes of agents: fresh seeds, the seeds that failed once, and that a seed is always the same run.</summary>
public sealed partial class WorldTests(ITestOutputHelper output)
{
    private const int Seeds = 300;

    [Fact]
    public void Many_seeds_break_no_promise()
    {
        var first = Random.Shared.Next();
        output.WriteLine($"seeds from {first}");
        var (watch, simulated) = (Stopwatch.StartNew(), 0L);
        Parallel.For(0, Seeds, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
            Interlocked.Add(ref simulated, Passes(unchecked(first + i), new Wishes()).Simulated.Ticks));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Seeds} seeds, {TimeSpan.FromTicks(simulated).TotalMinutes:0} min simulated in {watch.Elapsed.TotalSeconds:0} s, {(double)simulated / watch.Elapsed.Ticks:0} times as fast as real time"));
    }

    [Fact]
    public void Seeds_that_failed_once_do_not_fail_again()
    {
        using var file = new StreamReader(typeof(WorldTests).Assembly.GetManifestResourceStream("seeds.txt")!);
        var known = file.ReadToEnd().Split('\n').Where(line => line.Length > 0 && line[0] != '#').Select(line => line.Split(' ', 4)).ToArray();
        foreach (var parts in known)
            Passes(Number(parts[0]), new Wishes { Sites = Number(parts[1]), Asks = Number(parts[2].TrimEnd('+', '*')), HasExtras = parts[2].Contains('+'), Changes = parts[2].Contains('*') });
        Assert.NotEmpty(known);
    }

    [Fact]
    public void Twenty_sites_break_no_promise()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        Passes(seed, new Wishes { Sites = 20 });
    }

    [Fact]
    public void The_same_seed_is_the_same_run()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var scenario = Scenario.Of(seed, new Wishes());
        Assert.Equal(World.Run(scenario).Trace, World.Run(scenario).Trace);
    }

    // Hash codes of strings, for one, are others in each process.
    [Fact]
    public void The_same_seed_is_the_same_run_in_another_process()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var program = new ProcessStartInfo("dotnet", [typeof(WorldTests).Assembly.Location, "--seeds", "1", "--seed", $"{seed}"]) { RedirectStandardOutput = true };
        using var process = Process.Start(program)!;
        var there = Trace().Match(process.StandardOutput.ReadToEnd()).Groups[1].Value;
        process.WaitForExit();
        Assert.Equal($"{World.Run(Scenario.Of(seed, new Wishes())).Trace:x16}", there);
    }

    private static Outcome Passes(int seed, Wishes wishes)
    {
        var scenario = Scenario.Of(seed, wishes);
        var outcome = World.Run(scenario);
        Assert.True(outcome.Violations.IsEmpty, $"seed {seed}, {scenario.Sites.Length} sites, {wishes.Asks} requests{(wishes.HasExtras ? "" : " --no-extras")}; scripts/simulate makes less of it\n{(outcome.Violations.IsEmpty ? "" : Report.Whole(scenario, outcome))}");
        return outcome;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex("trace ([0-9a-f]{16})")]
    private static partial Regex Trace();
}
