using System.Text.RegularExpressions;

namespace Cheops.Tests.Unit.Scopes;

/// <summary>Splits canonical text into tokens, independently of the parser.</summary>
internal static partial class ScopeTokens
{
    public static IEnumerable<string> Split(string canonical) => Token().Matches(canonical).Select(match => match.Value);

    [GeneratedRegex(@"[A-Za-z][A-Za-z0-9_.\-]*|\d+(\.\d+)?|&&|&~|[&;%(),:*]")]
    private static partial Regex Token();
}
