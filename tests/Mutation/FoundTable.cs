namespace Cheops.Tests.Mutation;

/// <summary>What came of a mutation.</summary>
/// <param name="Name">The mutation.</param>
/// <param name="File">Where it was made.</param>
/// <param name="Layer">The project whose tests found it; empty when none did.</param>
/// <param name="Test">The first test that failed; where none did, why the mutation could not be tried, or empty.</param>
internal sealed record Found(string Name, string File, string Layer, string Test)
{
    /// <summary>Whether tests have found it.</summary>
    public bool IsFound => Layer.Length > 0;

    /// <summary>Whether it could not be tried.</summary>
    public bool IsBroken => !IsFound && Test.Length > 0;
}

/// <summary>
/// A Markdown table of what finds each mutation, written anew with each that was tried: a run that was ended goes on where
/// it was. Mutations that are in no list any more lose their rows.
/// </summary>
internal sealed class FoundTable
{
    private const string NotFound = "**not found**";

    private readonly string _file;
    private readonly List<string> _names;
    private readonly Dictionary<string, Found> _rows;

    private FoundTable(string file, List<string> names, Dictionary<string, Found> rows) => (_file, _names, _rows) = (file, names, rows);

    /// <summary>Opens a table, which need not be there yet.</summary>
    /// <param name="file">The file.</param>
    /// <param name="all">All mutations, in their order.</param>
    public static FoundTable Open(string file, List<Mutation> all)
    {
        var rows = File.Exists(file) ? File.ReadLines(file).Select(Read).OfType<Found>().ToDictionary(row => row.Name) : [];
        return new FoundTable(file, [.. all.Select(one => one.Name)], rows);
    }

    /// <summary>What came of a mutation; null when it was not tried.</summary>
    public Found? Of(string name) => _rows.GetValueOrDefault(name);

    /// <summary>Takes in what came of a mutation, and writes the file.</summary>
    public void Put(Found found)
    {
        _rows[found.Name] = found;
        var rows = _names.Select(Of).OfType<Found>().ToList();
        var next = _file + ".next";
        File.WriteAllLines(next,
        [
            "# What finds planted faults",
            "",
            $"Written by `scripts/mutate --table`: {rows.Count(row => row.IsFound)} of {rows.Count} faults are found, each by the first of its layers of tests that fails.",
            "",
            "| what is wrong then | in | found by | test |",
            "|---|---|---|---|",
            .. rows.Select(row => $"| {row.Name} | `{row.File}` | {(row.IsFound ? row.Layer : NotFound)} | {row.Test.Replace('|', '/')} |"),
        ]);
        File.Move(next, _file, overwrite: true);
    }

    // | NAME | `FILE` | LAYER | TEST |
    private static Found? Read(string line) => line.Split(" | ") switch
    {
        [['|', ' ', .. var name], ['`', .. var file, '`'], var layer, var rest] => new Found(name, file, layer == NotFound ? "" : layer, rest.TrimEnd('|', ' ')),
        _ => null,
    };
}
