using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>
/// Names a field of a JSON body: names joined by dots, each optionally followed by <c>[]</c> for every element of an
/// array, such as <c>spec.volumes[].configMap.name</c>.
/// </summary>
/// <param name="Text">The path as written.</param>
/// <param name="Segments">Names, and <see cref="Each"/> for every element.</param>
public sealed record FieldPath(string Text, ImmutableArray<string> Segments)
{
    /// <summary>The segment that stands for every element of an array. No field can be named so.</summary>
    public const string Each = "[]";

    private const int LengthMax = 256;

    /// <summary>Reads a path; null when it is none.</summary>
    public static FieldPath? Parse(string text)
    {
        if (text.Length is 0 or > LengthMax)
            return null;
        var segments = ImmutableArray.CreateBuilder<string>();
        foreach (var part in text.Split('.'))
        {
            var name = part;
            var arrays = 0;
            for (; name.EndsWith(Each, StringComparison.Ordinal); arrays++)
                name = name[..^Each.Length];
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '$' or '@' or ':' or '/'))
                return null;
            segments.Add(name);
            segments.AddRange(Enumerable.Repeat(Each, arrays));
        }

        return new FieldPath(text, segments.ToImmutable());
    }

    /// <inheritdoc/>
    public bool Equals(FieldPath? other) => other is not null && Text == other.Text;

    /// <inheritdoc/>
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <summary>The path as written.</summary>
    public override string ToString() => Text;
}
