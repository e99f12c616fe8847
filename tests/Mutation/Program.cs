using System.Diagnostics;
using System.Globalization;
using Cheops.Tests.Mutation;

return MutationCommand.Run(args);

/// <summary>The command line.</summary>
internal static class MutationCommand
{
    private const string Usage =
        """
        mutate [PART…] [--list]

        Puts one fault after the other into a copy of the source, those whose names contain a PART (all unless told),
        and tells which tests find it. Exit code: 0 every one was found, 1 not every one, 2 the list cannot be used.
        """;

    public static int Run(string[] args)
    {
        if (args.Any(one => one is "-h" or "--help"))
        {
            Console.WriteLine(Usage);
            return 0;
        }

        try
        {
            var source = Directory.GetCurrentDirectory();
            var parts = args.Where(one => !one.StartsWith('-')).ToArray();
            var chosen = Load(source).Where(one => parts.Length == 0 || parts.Any(part => one.Name.Contains(part, StringComparison.OrdinalIgnoreCase))).ToList();
            foreach (var mutation in chosen) mutation.Apply(File.ReadAllText(Path.Combine(source, mutation.File)));
            if (!args.Contains("--list")) return Try(source, chosen);
            foreach (var mutation in chosen) Console.WriteLine($"{mutation.Name,-70} {mutation.File}");
            return 0;
        }
        catch (Exception e) when (e is FormatException or IOException or UnusableException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }

    private static List<Mutation> Load(string source) =>
        [.. Directory.EnumerateFiles(Path.Combine(source, "tests", "Mutation", "Mutations"), "*.txt").Order(StringComparer.Ordinal).SelectMany(file => Mutation.Read(File.ReadLines(file)))];

    private static int Try(string source, List<Mutation> mutations)
    {
        using var workshop = new Workshop(source);
        CheckUnmutated(workshop, [.. mutations.SelectMany(one => one.Layers).DistinctBy(layer => layer.ToString())]);
        var missed = 0;
        foreach (var (index, mutation) in mutations.Index())
        {
            var watch = Stopwatch.StartNew();
            var (layer, test) = Find(workshop, mutation);
            if (layer is null) missed++;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{index + 1,3}/{mutations.Count}  {(layer is null ? "MISSED" : "found ")}  {mutation.Name,-72}  {layer?.Project,-11}  {test}  ({watch.Elapsed.TotalSeconds:F0} s)"));
        }

        Console.WriteLine($"{mutations.Count - missed} of {mutations.Count} found");
        return missed == 0 ? 0 : 1;
    }

    // Tests that fail anyhow would seem to find everything.
    private static void CheckUnmutated(Workshop workshop, TestLayer[] layers)
    {
        foreach (var project in layers.Select(layer => layer.Project).Distinct())
        {
            if (workshop.Build(project) is { } error) throw new UnusableException($"tests/{project} does not build: {error}");
        }

        foreach (var layer in layers)
        {
            var run = workshop.Test(layer);
            if (!run.Ran || run.Failed.Length > 0) throw new UnusableException($"{layer}: these tests do not pass without a mutation: {run.Failed}\n{run.Detail}");
        }
    }

    private static (TestLayer? Layer, string Test) Find(Workshop workshop, Mutation mutation)
    {
        using var undo = workshop.Make(mutation);
        foreach (var layer in mutation.Layers)
        {
            if (workshop.Build(layer.Project) is { } error) throw new UnusableException($"'{mutation.Name}' does not compile: {error}");
            if (workshop.Test(layer).Failed is { Length: > 0 } test) return (layer, test);
        }

        return (null, "");
    }
}

/// <summary>Tells why the list of mutations, or the source as it is, cannot be used.</summary>
internal sealed class UnusableException(string message) : Exception(message);
