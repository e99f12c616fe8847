using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>
/// A path with variables, such as <c>/api/v1/namespaces/{namespace}/pods/{id}</c>. A variable stands for exactly one
/// segment that is not empty; <c>{name+}</c>, allowed as the first segment alone, for one or more.
/// </summary>
public sealed record PathTemplate
{
    private const int LengthMax = 512;

    private PathTemplate(string text, ImmutableArray<string> segments, ImmutableArray<string> variables) =>
        (Text, Segments, Variables) = (text, segments, variables);

    /// <summary>The template as written.</summary>
    public string Text { get; }

    /// <summary>Its segments; a variable is <c>{}</c>.</summary>
    public ImmutableArray<string> Segments { get; }

    /// <summary>The names of its variables in order.</summary>
    public ImmutableArray<string> Variables { get; }

    /// <summary>Whether it stands for any collection at any depth, as the plain REST profile has it.</summary>
    public bool IsConvention => Text.StartsWith("/{", StringComparison.Ordinal) && Text.Contains("+}", StringComparison.Ordinal);

    /// <summary>What a variable is in <see cref="Segments"/>.</summary>
    public const string VariableSegment = "{}";

    /// <summary>Reads a template.</summary>
    /// <param name="text">The text.</param>
    /// <param name="mistake">What is wrong with it; null when nothing is.</param>
    public static PathTemplate? Parse(string text, out string? mistake)
    {
        mistake = null;
        if (text.Length < 2 || text[0] != '/' || text.Length > LengthMax)
            mistake = $"a path starts with '/' and has 2 to {LengthMax} characters";
        var segments = ImmutableArray.CreateBuilder<string>();
        var variables = ImmutableArray.CreateBuilder<string>();
        foreach (var segment in mistake is null ? text[1..].TrimEnd('/').Split('/') : [])
        {
            mistake ??= CheckSegment(segment, first: segments.Count == 0, variables);
            segments.Add(segment.StartsWith('{') ? VariableSegment : segment);
        }

        if (variables.Count > PathMatch.VariableCountMax)
            mistake ??= $"at most {PathMatch.VariableCountMax} variables";
        return mistake is null ? new PathTemplate(text, segments.ToImmutable(), variables.ToImmutable()) : null;
    }

    /// <inheritdoc/>
    public bool Equals(PathTemplate? other) => other is not null && Text == other.Text;

    /// <inheritdoc/>
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <summary>The template as written.</summary>
    public override string ToString() => Text;

    private static string? CheckSegment(string segment, bool first, ImmutableArray<string>.Builder variables)
    {
        if (!segment.StartsWith('{'))
        {
            return segment.Length > 0 && segment is not ("." or "..") && segment.All(IsPathCharacter)
                ? null
                : $"'{segment}' is not a path segment (letters, digits and -._~!$&'()*+,;=:@) or a variable such as {{id}}";
        }

        var name = segment.EndsWith('}') ? segment[1..^1] : "";
        if (first && name.EndsWith('+'))
            name = name[..^1];
        if (name.Length == 0 || !char.IsAsciiLetter(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            return $"'{segment}' is not a variable; one is written {{name}} and fills a whole segment";
        if (variables.Contains(name))
            return $"the variable '{name}' occurs twice";
        variables.Add(name);
        return null;
    }

    // pchar of RFC 3986 section 3.3 without percent-encoding.
    private static bool IsPathCharacter(char c) => char.IsAsciiLetterOrDigit(c) || "-._~!$&'()*+,;=:@".Contains(c, StringComparison.Ordinal);
}
