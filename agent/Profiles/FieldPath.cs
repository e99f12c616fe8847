using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>
/// Names a field of a JSON body: names joined by dots, each optionally followed by <c>[]</c> for every element of an
/// array, such as <c>spec.volumes[].configMap.name</c>. A name with dots stands in brackets and quotes, such as
/// <c>metadata.labels['example.org/name']</c>.
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
        for (var at = 0; at < text.Length;)
        {
            var isFirst = at == 0;
            if (text.AsSpan(at).StartsWith(Each) && !isFirst)
            {
                segments.Add(Each);
                at += Each.Length;
            }
            else if (text.AsSpan(at).StartsWith("['") && !isFirst)
            {
                // After the quote that opens it: in ['] the same quote would be taken for both.
                var end = text.IndexOf("']", at + 2, StringComparison.Ordinal);
                var name = end < 0 ? "" : text[(at + 2)..end];
                if (name is "" or Each || name.Any(c => c is '\'' or < ' '))
                    return null;
                segments.Add(name);
                at = end + 2;
            }
            else
            {
                if (!isFirst && text[at++] != '.')
                    return null;
                var end = text.AsSpan(at).IndexOfAny('.', '[') is >= 0 and var length ? at + length : text.Length;
                var name = text[at..end];
                if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '$' or '@' or ':' or '/'))
                    return null;
                segments.Add(name);
                at = end;
            }
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

/// <summary>A value that a field may have.</summary>
/// <param name="Field">The field.</param>
/// <param name="Value">The value, a string.</param>
public sealed record FieldValue(FieldPath Field, string Value)
{
    /// <summary>Reads <c>field=value</c>; null when it is none.</summary>
    public static FieldValue? Parse(string text) =>
        text.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals && equals < text.Length - 1 && FieldPath.Parse(text[..equals]) is { } field
            ? new FieldValue(field, text[(equals + 1)..])
            : null;
}
