using System.Text;
using Cheops.Proto.Scopes;

namespace Cheops.Tests.Fuzz.Scopes;

/// <summary>Scope-lang: any text gives a tree that prints and parses back to itself, or an error within the text.</summary>
public sealed class ScopeTarget
{
    /// <summary>The target's name on the command line.</summary>
    public string Name => "scope";

    /// <summary>Inputs to begin with.</summary>
    public IEnumerable<byte[]> Seeds =>
        from text in new[]
        {
            "Site1", "{glance: Site1, nova: Site2}", "glance/Site2", "*: here, glance: around(Site1, 10ms); Site3",
            "a & b && (c &~ d) % e", "around(here, 0.5s)", "((((a;b))))", "a &", "around(a, 1", "{", "é",
        }
        select Encoding.UTF8.GetBytes(text);

    /// <summary>Runs one input.</summary>
    /// <exception cref="InvalidOperationException">A property does not hold.</exception>
    public void Run(ReadOnlySpan<byte> input)
    {
        var text = Encoding.Latin1.GetString(input);
        if (!ScopeParser.TryParse(text, out var scope, out var error))
        {
            if (error.Column < 0 || error.Column > text.Length || error.Message.Length == 0 || !error.Caret(text).EndsWith('^'))
                throw new InvalidOperationException($"an error outside the text: {error}");
            return;
        }

        var printed = scope.ToString();
        if (!ScopeParser.TryParse(printed, out var again, out _) || !again.Equals(scope) || again.ToString() != printed)
            throw new InvalidOperationException($"does not parse back: {printed}");
        if (scope.Resolve("addressed", "Site0") is { MentionsHere: true } or { IsBare: true })
            throw new InvalidOperationException($"not resolved: {printed}");
    }
}
