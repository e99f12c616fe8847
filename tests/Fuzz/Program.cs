using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Cheops.Tests.Fuzz;

return FuzzCommand.Run(args);

/// <summary>The command line.</summary>
internal static class FuzzCommand
{
    private const string Usage =
        """
        fuzz [TARGET…] [--seconds N] [--seed S] [--inputs DIR] [--crashes DIR] [--keep DIR]
        fuzz replay TARGET FILE…
        fuzz instrument

        Tries inputs until one breaks a property or the time (10 s a target unless told) is over; all targets unless some
        are named. Files in --inputs are further inputs to start from. An input that breaks something is saved under --crashes
        (out/fuzz-crashes unless told). --keep writes to DIR/TARGET the inputs that lead to branches which the seeds do not reach.
        'instrument' lets the product's assemblies beside this program count branches: scripts/fuzz does it.
        Exit code: 0 nothing found, 1 something found, 2 not understood.
        """;

    public static int Run(string[] args)
    {
        Coverage.Prepare();
        switch (args)
        {
            case ["instrument"]:
                Instrumentation.Run();
                return 0;
            case ["replay", var name, _, ..] when Find(name) is { } replayed:
                return Replay(replayed, args[2..]);
        }

        var names = args.TakeWhile(arg => !arg.StartsWith('-')).ToArray();
        var targets = names.Length == 0 ? FuzzTargets.All : [.. names.Select(Find).OfType<IFuzzTarget>()];
        if (targets.Length < names.Length || FuzzOptions.Read(args[names.Length..]) is not { } options) return Explain();
        return targets.Aggregate(0, (code, target) => Math.Max(code, Fuzz(target, options)));
    }

    private static IFuzzTarget? Find(string name) => FuzzTargets.All.SingleOrDefault(target => target.Name == name);

    private static int Explain()
    {
        Console.Error.WriteLine(Usage);
        Console.Error.WriteLine("\nTargets:");
        foreach (var target in FuzzTargets.All) Console.Error.WriteLine($"  {target.Name,-12} {target.Purpose}");
        return 2;
    }

    private static int Fuzz(IFuzzTarget target, FuzzOptions options)
    {
        var watch = Stopwatch.StartNew();
        var more = options.Inputs is null ? [] : Directory.EnumerateFiles(options.Inputs).Order().Select(File.ReadAllBytes);
        var fuzzer = new Fuzzer(target, options.Seed, more);
        var report = fuzzer.Run(long.MaxValue, () => watch.Elapsed.TotalSeconds < options.Seconds);
        var rate = (report.Executions / watch.Elapsed.TotalSeconds).ToString("N0", CultureInfo.InvariantCulture);
        Console.WriteLine($"{target.Name,-10} seed {options.Seed}: {report.Executions} executions, {rate}/s, {report.Edges} pairs of branches, {report.Outcomes} outcomes");
        if (report.Crash is not null) return Save(target, options, report);
        if (options.Keep is not null) Console.WriteLine($"{target.Name,-10} {Corpus.Write(target, fuzzer.Kept, Path.Combine(options.Keep, target.Name))} inputs kept");
        return 0;
    }

    private static int Save(IFuzzTarget target, FuzzOptions options, FuzzReport report)
    {
        Directory.CreateDirectory(options.Crashes);
        var file = Path.Combine(options.Crashes, $"{target.Name}-{Corpus.NameOf(report.CrashInput)}");
        File.WriteAllBytes(file, report.CrashInput);
        Console.Error.WriteLine($"FAILED, saved as {file} (seed {options.Seed}, execution {report.Executions}):\n{report.Crash}");
        return 1;
    }

    private static int Replay(IFuzzTarget target, string[] files)
    {
        foreach (var file in files) Console.WriteLine($"{file}: outcome {target.Run(File.ReadAllBytes(file))}");
        return 0;
    }
}

/// <summary>How a run is made.</summary>
internal sealed record FuzzOptions
{
    public int Seconds { get; init; } = 10;

    public int Seed { get; init; } = RandomNumberGenerator.GetInt32(int.MaxValue);

    public string? Inputs { get; init; }

    public string Crashes { get; init; } = Path.Combine("out", "fuzz-crashes");

    public string? Keep { get; init; }

    /// <summary>Reads them from pairs of arguments; null when they are not understood.</summary>
    public static FuzzOptions? Read(string[] args)
    {
        var options = new FuzzOptions();
        foreach (var pair in args.Chunk(2))
        {
            switch (pair)
            {
                case ["--seconds", var text] when int.TryParse(text, out var seconds): options = options with { Seconds = seconds }; break;
                case ["--seed", var text] when int.TryParse(text, out var seed): options = options with { Seed = seed }; break;
                case ["--inputs", var directory] when Directory.Exists(directory): options = options with { Inputs = directory }; break;
                case ["--crashes", var directory]: options = options with { Crashes = directory }; break;
                case ["--keep", var directory]: options = options with { Keep = directory }; break;
                default: return null;
            }
        }

        return options;
    }
}
