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
        fuzz TARGET [--seconds N] [--seed S] [--corpus DIR] [--crashes DIR]
        fuzz replay TARGET FILE…

        Tries inputs until one breaks a property or the time (10 s unless told) is over. Files in DIR are further inputs
        to start from. An input that breaks something is saved under --crashes (here unless told).
        Exit code: 0 nothing found, 1 something found, 2 not understood.
        """;

    public static int Run(string[] args)
    {
        if (args.Length >= 3 && args[0] == "replay" && Find(args[1]) is { } replayed) return Replay(replayed, args[2..]);
        if (args.Length == 0 || Find(args[0]) is not { } target || args.Length % 2 == 0) return Explain();

        var seconds = 10;
        var seed = RandomNumberGenerator.GetInt32(int.MaxValue);
        string? corpus = null;
        var crashes = ".";
        for (var i = 1; i < args.Length; i += 2)
        {
            switch (args[i])
            {
                case "--seconds" when int.TryParse(args[i + 1], out seconds): break;
                case "--seed" when int.TryParse(args[i + 1], out seed): break;
                case "--corpus" when Directory.Exists(args[i + 1]): corpus = args[i + 1]; break;
                case "--crashes": crashes = args[i + 1]; break;
                default: return Explain();
            }
        }

        var more = corpus is null ? [] : Directory.EnumerateFiles(corpus).Order().Select(File.ReadAllBytes);
        return Fuzz(target, seed, seconds, more, crashes);
    }

    private static IFuzzTarget? Find(string name) => FuzzTargets.All.SingleOrDefault(target => target.Name == name);

    private static int Explain()
    {
        Console.Error.WriteLine(Usage);
        Console.Error.WriteLine("\nTargets:");
        foreach (var target in FuzzTargets.All) Console.Error.WriteLine($"  {target.Name,-12} {target.Purpose}");
        return 2;
    }

    private static int Fuzz(IFuzzTarget target, int seed, int seconds, IEnumerable<byte[]> more, string crashes)
    {
        Console.WriteLine($"{target.Name}: seed {seed}, {seconds} s");
        var watch = Stopwatch.StartNew();
        var report = new Fuzzer(target, seed, more).Run(long.MaxValue, () => watch.Elapsed.TotalSeconds < seconds);
        var rate = (report.Executions / watch.Elapsed.TotalSeconds).ToString("N0", CultureInfo.InvariantCulture);
        Console.WriteLine($"{report.Executions} executions, {rate}/s, {report.Outcomes} different outcomes");
        if (report.Crash is null) return 0;

        Directory.CreateDirectory(crashes);
        var file = Path.Combine(crashes, $"{target.Name}-{Convert.ToHexStringLower(SHA256.HashData(report.CrashInput))[..12]}.bin");
        File.WriteAllBytes(file, report.CrashInput);
        Console.Error.WriteLine($"FAILED, saved as {file} (seed {seed}, execution {report.Executions}):\n{report.Crash}");
        return 1;
    }

    private static int Replay(IFuzzTarget target, string[] files)
    {
        foreach (var file in files) Console.WriteLine($"{file}: outcome {target.Run(File.ReadAllBytes(file))}");
        return 0;
    }
}
