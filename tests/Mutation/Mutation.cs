namespace Cheops.Tests.Mutation;

/// <summary>Tests that should find a mutation.</summary>
/// <param name="Project">The project below <c>tests</c>.</param>
/// <param name="Names">Parts of the tests' full names, any of which will do.</param>
internal sealed record TestLayer(string Project, string[] Names)
{
    /// <summary>The layer as it is shown.</summary>
    public override string ToString() => $"{Project} {string.Join('|', Names)}";

    /// <summary>The filter that chooses its tests.</summary>
    public string Filter => string.Join('|', Names.Select(name => "FullyQualifiedName~" + name));
}

/// <summary>One fault that is put into the product's code, to see which tests find it.</summary>
/// <param name="Name">What is wrong then.</param>
/// <param name="File">The file, from the top of the repository.</param>
/// <param name="Layers">Which tests should find it, tried in this order.</param>
/// <param name="Before">Whole lines as they are, without indentation.</param>
/// <param name="After">What stands in their place.</param>
internal sealed record Mutation(string Name, string File, TestLayer[] Layers, string[] Before, string[] After)
{
    /// <summary>
    /// Reads a list: <c>== NAME</c>, <c>in FILE</c>, <c>by PROJECT PART|PART</c> (one or more), then lines that begin with
    /// <c>-</c> (before) and <c>+</c> (after); <c>#</c> begins a comment.
    /// </summary>
    /// <exception cref="FormatException">A line is none of a list, or a mutation is not whole.</exception>
    public static List<Mutation> Read(IEnumerable<string> lines)
    {
        var all = new List<Mutation>();
        foreach (var line in lines.Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                all.Add(new Mutation(line[3..], "", [], [], []));
                continue;
            }

            if (all.Count == 0) throw new FormatException($"before the first mutation: {line}");
            all[^1] = all[^1].With(line);
        }

        if (all.Find(one => one.File.Length == 0 || one.Layers.Length == 0 || one.Before.Length == 0) is { } partial)
            throw new FormatException($"not whole: {partial.Name}");
        return all;
    }

    private Mutation With(string line) => line.Split(' ', 2) switch
    {
        ["in", var file] => this with { File = file },
        ["by", var layer] when layer.Split(' ', 2) is [var project, var names] => this with { Layers = [.. Layers, new TestLayer(project, names.Split('|'))] },
        ["-", var before] => this with { Before = [.. Before, before.Trim()] },
        ["+", var after] => this with { After = [.. After, after.Trim()] },
        _ => throw new FormatException($"not understood: {line}"),
    };

    /// <summary>Applies it to a file's text.</summary>
    /// <exception cref="FormatException">The lines before do not stand there exactly once.</exception>
    public string Apply(string text)
    {
        var lines = text.Split('\n');
        var places = Enumerable.Range(0, Math.Max(0, lines.Length - Before.Length + 1))
            .Where(at => Before.Index().All(line => lines[at + line.Index].Trim() == line.Item))
            .ToArray();
        if (places is not [var place]) throw new FormatException($"'{Name}': its lines stand {places.Length} times in {File}, not once: bring the list up to date");
        var indentation = lines[place][..(lines[place].Length - lines[place].TrimStart().Length)];
        return string.Join('\n', [.. lines[..place], .. After.Select(line => indentation + line), .. lines[(place + Before.Length)..]]);
    }
}
