using System.Text;
using Cheops.Proto.Scopes;

namespace Cheops.Tests.Fuzz.Scopes;

/// <summary>Scope-lang: any text gives a tree that prints and parses back to itself, or an error within the text.</summary>
public sealed class ScopeTarget : IFuzzTarget
{
    public string Name => "scope";

    public string Purpose => "any text is a scope that prints and parses back to itself, or an error within the text";

    public IEnumerable<byte[]> Seeds =>
        from text in new[]
        {
            "Site1", "{glance: Site1, nova: Site2}", "glance/Site2", "*: here, glance: around(Site1, 10ms); Site3",
            "a & b && (c &~ d) % e", "around(here, 0.5s)", "((((a;b))))", "a &", "around(a, 1", "{", "é",
        }
        select Encoding.UTF8.GetBytes(text);

    public IReadOnlyList<byte[]> Words { get; } =
        [.. new[] { "Site1", "here", "around(", "*", ":", "/", ",", ";", "&", "&&", "&~", "%", "(", ")", "{", "}", " ", "10ms", "0.5s", "a & (", "a && b & " }.Select(Encoding.ASCII.GetBytes)];

    public int Run(byte[] input)
    {
        var text = Encoding.Latin1.GetString(input);
        if (!ScopeParser.TryParse(text, out var scope, out var error))
        {
            FuzzException.Demand(error.Column >= 0 && error.Column <= text.Length && error.Message.Length > 0 && error.Caret(text).EndsWith('^'), $"an error outside the text: {error}");
            return HashCode.Combine((int)error.Kind, error.Expected.Length);
        }

        var printed = scope.ToString();
        FuzzException.Demand(ScopeParser.TryParse(printed, out var again, out _) && again.Equals(scope) && again.ToString() == printed, $"does not parse back: {printed}");
        FuzzException.Demand(scope.Resolve("addressed", "Site0") is { MentionsHere: false, IsBare: false }, $"not resolved: {printed}");
        return 1000 + Shape(scope);
    }

    // Which kinds of node there are, and how many bindings.
    private static int Shape(Scope scope)
    {
        var text = scope.ToString();
        var kinds = new[] { ";", "&&", "&~", "& ", "%", "around(", "here", "*", "((" }.Select((sign, i) => text.Contains(sign, StringComparison.Ordinal) ? 1 << i : 0).Sum();
        return (Math.Min(scope.Bindings.Length, 4) << 9) + kinds;
    }
}
