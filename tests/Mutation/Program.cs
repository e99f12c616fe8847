using System.Diagnostics;
using System.Globalization;
using Cheops.Tests.Mutation;

return MutationCommand.Run(args);

/// <summary>The command line.</summary>
internal static class MutationCommand
{
    private const string Usage =
        """
        mutate [PART…] [--list] [--layer PROJECT] [--table FILE [--again]]

        Puts one fault after the other into a copy of the source, those whose names contain a PART (all unless told),
        and tells which tests find it.

        --list     tells which there are, after a look whether each can still be made
        --layer    tries only this project's tests (Unit, Integration, Simulation, System), where a fault names
                   them; System needs root, and a network of its own if others test on this machine
        --table    writes what came of each to FILE; those that FILE tells of already are not tried, unless --again,
                   or they could not be built

        Exit code: 0 every one was found, 1 not every one, 2 the list cannot be used.
        """;

    public static int Run(string[] args)
    {
        if (Options.Read(args) is not { } options)
        {
            Console.WriteLine(Usage);
            return args.Any(one => one is "-h" or "--help") ? 0 : 2;
        }

        try
        {
            var source = Directory.GetCurrentDirectory();
            var all = Load(source);
            foreach (var mutation in all) mutation.Apply(File.ReadAllText(Path.Combine(source, mutation.File)));
            var chosen = all.Where(options.Chooses).ToList();
            if (!options.IsList) return Try(source, all, chosen, options);
            foreach (var mutation in chosen) Console.WriteLine($"{mutation.Name,-78} {mutation.File}");
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

    private static int Try(string source, List<Mutation> all, List<Mutation> chosen, Options options)
    {
        var table = options.Table is null ? null : FoundTable.Open(options.Table, all);
        var left = chosen.Where(one => options.IsAgain || table?.Of(one.Name) is not { } row || row.IsBroken).ToList();
        using var workshop = new Workshop(source);
        CheckUnmutated(workshop, [.. left.SelectMany(options.LayersOf).DistinctBy(layer => layer.ToString())]);
        var results = new List<Found>();
        foreach (var (index, mutation) in left.Index())
        {
            var watch = Stopwatch.StartNew();
            var found = Find(workshop, mutation, options.LayersOf(mutation));
            table?.Put(found);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{index + 1,3}/{left.Count}  {(found.IsFound ? "found " : found.IsBroken ? "BROKEN" : "MISSED")}  {mutation.Name,-72}  {found.Layer,-11}  {found.Test}  ({watch.Elapsed.TotalSeconds:F0} s)"));
            results.Add(found);
        }

        return Tell(table is null ? results : [.. chosen.Select(one => table.Of(one.Name)!)]);
    }

    private static int Tell(List<Found> found)
    {
        Console.WriteLine($"{found.Count(one => one.IsFound)} of {found.Count} found");
        return found.All(one => one.IsFound) ? 0 : found.Any(one => one.IsBroken) ? 2 : 1;
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

    // One that cannot be built is told of, and the others are tried: a run of all of them takes hours.
    private static Found Find(Workshop workshop, Mutation mutation, IEnumerable<TestLayer> layers)
    {
        using var undo = workshop.Make(mutation);
        foreach (var layer in layers)
        {
            if (workshop.Build(layer.Project) is { } error) return new Found(mutation.Name, mutation.File, "", $"does not compile: {error}");
            if (workshop.Test(layer).Failed is { Length: > 0 } test) return new Found(mutation.Name, mutation.File, layer.Project, test);
        }

        return new Found(mutation.Name, mutation.File, "", "");
    }
}

/// <summary>What is tried, and how.</summary>
/// <param name="Parts">Parts of names; all mutations when there are none.</param>
/// <param name="IsList">Whether they are only told.</param>
/// <param name="Layer">The only project whose tests are tried; null for all.</param>
/// <param name="Table">The file that tells what came of each; null for none.</param>
/// <param name="IsAgain">Whether those are tried too that the file tells of.</param>
internal sealed record Options(string[] Parts, bool IsList, string? Layer, string? Table, bool IsAgain)
{
    /// <summary>Reads arguments; null when they are not understood.</summary>
    public static Options? Read(string[] args)
    {
        var options = new Options([], false, null, null, false);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--list": options = options with { IsList = true }; break;
                case "--again": options = options with { IsAgain = true }; break;
                case "--layer" when i + 1 < args.Length: options = options with { Layer = args[++i] }; break;
                case "--table" when i + 1 < args.Length: options = options with { Table = args[++i] }; break;
                case ['-', ..]: return null;
                default: options = options with { Parts = [.. options.Parts, args[i]] }; break;
            }
        }

        return options;
    }

    /// <summary>Whether a mutation is to be tried, or told of.</summary>
    public bool Chooses(Mutation mutation) =>
        (Parts.Length == 0 || Parts.Any(part => mutation.Name.Contains(part, StringComparison.OrdinalIgnoreCase))) && LayersOf(mutation).Any();

    /// <summary>The layers that are tried for it.</summary>
    public IEnumerable<TestLayer> LayersOf(Mutation mutation) => mutation.Layers.Where(layer => Layer is null || string.Equals(layer.Project, Layer, StringComparison.OrdinalIgnoreCase));
}

/// <summary>Tells why the list of mutations, or the source as it is, cannot be used.</summary>
internal sealed class UnusableException(string message) : Exception(message);
