using System.Collections.Immutable;
using System.Text;

namespace Cheops.Agent.Profiles;

/// <summary>
/// A target that lists the resources with a natural key, such as <c>/v2/images?name={name}&amp;owner={owner}</c>. A variable is
/// one of the collection's path, or a field of the natural key by its last name.
/// </summary>
/// <param name="Text">The template as written.</param>
/// <param name="Variables">The names of its variables in order.</param>
public sealed record LookupTemplate(string Text, ImmutableArray<string> Variables)
{
    private const int LengthMax = 512;

    /// <summary>Reads a template.</summary>
    /// <param name="text">The text.</param>
    /// <param name="mistake">What is wrong with it; null when nothing is.</param>
    public static LookupTemplate? Parse(string text, out string? mistake)
    {
        mistake = text.Length is 0 or > LengthMax || text[0] != '/' || text.Any(c => c is <= ' ' or > '~' or '#')
            ? $"a target starts with '/' and has at most {LengthMax} printable characters"
            : null;
        var variables = ImmutableArray.CreateBuilder<string>();
        for (var at = 0; mistake is null && at < text.Length;)
        {
            var start = text.AsSpan(at).IndexOfAny('{', '}');
            if (start < 0) break;
            var end = text.IndexOf('}', at);
            if (text[at + start] == '}' || end <= at + start + 1) mistake = "a variable is written {name}";
            else variables.Add(text[(at + start + 1)..end]);
            at = end + 1;
        }

        return mistake is null ? new LookupTemplate(text, variables.ToImmutable()) : null;
    }

    /// <summary>Fills the template in.</summary>
    /// <param name="valueOf">Gives the value of a variable; null when there is none.</param>
    /// <returns>The target; null when a value is missing, so that nothing can be asked for.</returns>
    public string? Fill(Func<string, string?> valueOf)
    {
        var target = new StringBuilder(Text);
        foreach (var variable in Variables)
        {
            if (valueOf(variable) is not { } value) return null;

            // What is filled in has no braces left, so no value is taken for a variable.
            target.Replace($"{{{variable}}}", Uri.EscapeDataString(value));
        }

        return target.ToString();
    }

    /// <inheritdoc/>
    public bool Equals(LookupTemplate? other) => other is not null && Text == other.Text;

    /// <inheritdoc/>
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    /// <summary>The template as written.</summary>
    public override string ToString() => Text;
}
