using System.Globalization;
using System.Text.RegularExpressions;
using Cheops.Tests.Unit.Scopes;

namespace Cheops.Tests.Unit.Planning;

/// <summary>
/// Evaluates a location's text to a plan's text by rewriting and a shunting-yard, without tree or recursion: written
/// to share nothing with the planner. All sites are known and offer everything.
/// </summary>
internal static partial class PlanOracle
{
    private sealed record Item(string Kind, List<string> Parts)
    {
        public string Text => Kind == "" ? Parts[0] : string.Join(Kind == ";" ? "; " : $" {Kind} ", Parts.Select(part => part.Contains(' ', StringComparison.Ordinal) ? $"({part})" : part));
    }

    public static string Evaluate(string location, string here, IReadOnlyDictionary<(string From, string To), double> roundTripsMs)
    {
        var expanded = Around().Replace(location, match =>
        {
            var center = match.Groups[1].Value == "here" ? here : match.Groups[1].Value;
            var within = double.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture) * (match.Groups[3].Value == "s" ? 1000 : 1);
            var near = from pair in roundTripsMs
                       where pair.Key.From == center && pair.Value <= within
                       orderby pair.Value, string.Join(' ', pair.Key.To.Select(c => $"{(int)c:D5}"))
                       select pair.Key.To;
            return $"({string.Join(';', near.Prepend(center))})";
        });
        var values = new Stack<Item>();
        var operators = new Stack<string>();
        foreach (var token in ScopeTokens.Split(expanded))
        {
            if (char.IsLetter(token[0]))
                values.Push(new Item("", [token == "here" ? here : token]));
            else if (token == "(")
                operators.Push(token);
            else
                Reduce(values, operators, token);
        }

        Reduce(values, operators, ")");
        return values.Single().Text;
    }

    /// <summary>What a scope's text binds a service to: its own binding before that of <c>*</c>; null for nothing.</summary>
    public static string? LocationOf(string scope, string service)
    {
        var bindings = new List<string> { "" };
        var depth = 0;
        foreach (var c in scope.Trim('{', '}'))
        {
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            if (c == ',' && depth == 0) bindings.Add("");
            else bindings[^1] += c;
        }

        var found = bindings.Select(binding => binding.Split(':', 2)).ToDictionary(parts => parts[0].Trim(), parts => parts[1].Trim());
        return found.GetValueOrDefault(service) ?? found.GetValueOrDefault("*");
    }

    private static void Reduce(Stack<Item> values, Stack<string> operators, string next)
    {
        while (operators.TryPeek(out var top) && top != "(" && Rank(top) >= Rank(next))
        {
            var (right, left) = (values.Pop(), values.Pop());
            values.Push(Join(operators.Pop(), left, right));
        }

        if (next == ")")
            operators.TryPop(out _);
        else
            operators.Push(next);
    }

    private static Item Join(string kind, Item left, Item right)
    {
        var parts = new[] { left, right }.SelectMany(item => item.Kind == kind ? item.Parts : [item.Text]).Distinct().ToList();
        if (parts.Count > 1)
            return new Item(kind, parts);
        return left;
    }

    private static int Rank(string token) => token switch { ")" => 0, ";" => 1, "%" => 3, _ => 2 };

    [GeneratedRegex(@"around\((\S+), ([\d.]+)(ms|s)\)")]
    private static partial Regex Around();
}
