using System.Globalization;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What a person is told of a run.</summary>
internal sealed class Story
{
    private readonly List<(long At, string Where, string? Thing, string Text)> _lines = [];

    /// <summary>Adds a line.</summary>
    /// <param name="at">When, in ticks of 100 ns.</param>
    /// <param name="where">The site, or who else.</param>
    /// <param name="thing">The thing that it is about; null for what may concern all.</param>
    /// <param name="text">What happened.</param>
    public void Tell(long at, string where, string? thing, string text) => _lines.Add((at, where, thing, text));

    /// <summary>The lines that may concern one of some things; all when there is none.</summary>
    public IEnumerable<string> About(IReadOnlySet<string> things) => _lines
        .Where(line => things.Count == 0 || line.Thing is null || things.Contains(line.Thing))
        .Select(line => string.Create(CultureInfo.InvariantCulture, $"{TimeSpan.FromTicks(line.At).TotalSeconds,10:0.0000} s  {line.Where,-8} {line.Text}"));
}
