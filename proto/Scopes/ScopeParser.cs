using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Cheops.Proto.Scopes;

/// <summary>
/// Reads scope-lang (DESIGN.md section 3):
/// <code>
/// scope    = binding *( "," binding ) / location         ; with or without braces around the whole
/// binding  = service ( ":" / "/" ) location              ; "*" as a service: every other one
/// location = replic *( ";" replic )
/// replic   = cross *( ( "&amp;" / "&amp;&amp;" / "&amp;~" ) cross )      ; different operators group from the left
/// cross    = primary *( "%" primary )
/// primary  = site / "around" "(" site "," duration ")" / "(" location ")"
/// duration = number ( "ms" / "s" )
/// </code>
/// White space (space, tab, CR, LF) may stand between any two tokens. Names are <c>[A-Za-z][A-Za-z0-9_.-]{0,62}</c>,
/// and case matters. Length and nesting are bounded before they can cost anything; a change of operator within a
/// chain counts as one level of nesting, since it groups.
/// </summary>
public static class ScopeParser
{
    /// <summary>Parses a whole text. Exactly one of the two results is set.</summary>
    /// <returns>Whether it is a scope.</returns>
    public static bool TryParse(
        ReadOnlySpan<char> text, [NotNullWhen(true)] out Scope? scope, [NotNullWhen(false)] out ScopeError? error)
    {
        var parser = new Descent(text);
        scope = parser.ParseScope();
        error = parser.Error;
        if (error is not null)
            scope = null;
        return error is null;
    }

    /// <summary>Whether a text is a well-formed name of a site or a service.</summary>
    public static bool IsName(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty || text.Length > Bounds.SiteNameLengthMax || !char.IsAsciiLetter(text[0]))
            return false;
        foreach (var c in text)
        {
            if (!ScopeScanner.IsNameCharacter(c))
                return false;
        }

        return true;
    }

    // Recursive descent; its depth is bounded by ScopeDepthMax. Every method returns null once an error is recorded.
    private ref struct Descent(ReadOnlySpan<char> text)
    {
        private const string AnOperator = "';', '&', '&&', '&~', '%' or the end";
        private ScopeScanner _scanner = new(text);
        private int _depth;

        public ScopeError? Error => _scanner.Error;

        public Scope? ParseScope()
        {
            if (!_scanner.CheckLength())
                return null;
            if (_scanner.AtEnd)
                return Fail<Scope>(ScopeErrorKind.Empty, "a location such as Site1, or bindings such as glance: Site1, nova: Site2");
            var braces = _scanner.Take('{');
            var scope = StartsBinding() ? ParseBindings() : ParseBare();
            if (scope is null)
                return null;
            if (braces && !_scanner.Take('}'))
                return Fail<Scope>(ScopeErrorKind.Unexpected, "an operator, ',' or '}'");
            if (!_scanner.AtEnd)
                return FailAfter(scope);
            return scope;
        }

        private readonly bool StartsBinding()
        {
            var ahead = _scanner;
            return (ahead.Take('*') || !ahead.TakeName().IsEmpty) && (ahead.Peek is ':' or '/');
        }

        private Scope? ParseBare() =>
            ParseLocation() is { } location ? new Scope([new Binding(Binding.Addressed, location)]) : null;

        private Scope? ParseBindings()
        {
            var bindings = ImmutableArray.CreateBuilder<Binding>(2);
            do
            {
                if (ParseBinding(bindings) is not { } binding)
                    return null;
                bindings.Add(binding);
            }
            while (_scanner.Take(','));
            return new Scope(bindings.DrainToImmutable());
        }

        private Binding? ParseBinding(ImmutableArray<Binding>.Builder before)
        {
            _scanner.SkipSpace();
            var column = _scanner.Column;
            var service = ParseService();
            if (service is null)
                return null;
            foreach (var other in before)
            {
                if (other.Service == service)
                {
                    _scanner.Fail(ScopeErrorKind.ServiceBoundTwice, column, $"'{service}' a second time", "each service bound once");
                    return null;
                }
            }

            if (!_scanner.Take(':') && !_scanner.Take('/'))
                return Fail<Binding>(ScopeErrorKind.BareBesideBindings, $"':' after '{service}', since every location beside a binding needs its service");
            return ParseLocation() is { } location ? new Binding(service, location) : null;
        }

        private string? ParseService()
        {
            if (_scanner.Take('*'))
                return Binding.AnyOther;
            return ParseName("the name of a service or '*'");
        }

        private Location? ParseLocation()
        {
            var first = ParseReplic();
            if (first is null || _scanner.Peek != ';')
                return first;
            var alternatives = ImmutableArray.CreateBuilder<Location>(2);
            alternatives.Add(first);
            while (_scanner.Take(';'))
            {
                if (ParseReplic() is not { } next)
                    return null;
                alternatives.Add(next);
            }

            return new FirstLocation(alternatives.DrainToImmutable());
        }

        private Location? ParseReplic()
        {
            var left = ParseCross();
            while (left is not null && _scanner.Peek == '&')
            {
                if (_depth + ChainLength(left) >= Bounds.ScopeDepthMax)
                    return FailTooDeep();
                left = ParseRun(left);
            }

            return left;
        }

        // How often a chain that begins with this location has grouped already, with or without parentheses.
        private static int ChainLength(Location left)
        {
            var length = 0;
            for (; left is AllLocation all; left = all.Replicas[0])
                length++;
            return length;
        }

        // One run of the same operator: left op cross op cross …
        private AllLocation? ParseRun(Location left)
        {
            var replicas = ImmutableArray.CreateBuilder<Location>(2);
            replicas.Add(left);
            var replication = _scanner.TakeReplication();
            do
            {
                if (ParseCross() is not { } next)
                    return null;
                replicas.Add(next);
            }
            while (_scanner.TakeReplicationIf(replication));
            return new AllLocation(replication, replicas.DrainToImmutable());
        }

        private Location? ParseCross()
        {
            var first = ParsePrimary();
            if (first is null || _scanner.Peek != '%')
                return first;
            var parts = ImmutableArray.CreateBuilder<Location>(2);
            parts.Add(first);
            while (_scanner.Take('%'))
            {
                if (ParsePrimary() is not { } next)
                    return null;
                parts.Add(next);
            }

            return new SpreadLocation(parts.DrainToImmutable());
        }

        private Location? ParsePrimary()
        {
            if (_scanner.Peek == '(')
                return ParseParenthesized();
            var name = ParseName("a site, 'here', 'around(' or '('");
            if (name is null)
                return null;
            if (name == "around" && _scanner.Take('('))
                return ParseAround();
            return SiteOf(name);
        }

        private Location? ParseParenthesized()
        {
            if (_depth == Bounds.ScopeDepthMax)
                return FailTooDeep();
            _scanner.Take('(');
            _depth++;
            var inner = ParseLocation();
            _depth--;
            if (inner is null)
                return null;
            return _scanner.Take(')') ? inner : Fail<Location>(ScopeErrorKind.Unexpected, "an operator or ')'");
        }

        private AroundLocation? ParseAround()
        {
            if (ParseName("a site or 'here'") is not { } center)
                return null;
            if (!_scanner.Take(','))
                return Fail<AroundLocation>(ScopeErrorKind.Unexpected, "',' and a round-trip time such as 10ms");
            if (!_scanner.TakeDuration(out var within))
                return null;
            if (!_scanner.Take(')'))
                return Fail<AroundLocation>(ScopeErrorKind.Unexpected, "')' after the round-trip time");
            return new AroundLocation(SiteOf(center), within);
        }

        private static SiteLocation SiteOf(string name) => name == SiteLocation.HereName ? SiteLocation.Here : new SiteLocation(name);

        private string? ParseName(string expected)
        {
            _scanner.SkipSpace();
            var column = _scanner.Column;
            var name = _scanner.TakeName();
            if (name.IsEmpty)
                return Fail<string>(ScopeErrorKind.Unexpected, expected);
            if (name.Length <= Bounds.SiteNameLengthMax)
                return name.ToString();
            _scanner.Fail(ScopeErrorKind.NameTooLong, column, $"a name of {name.Length} characters", $"at most {Bounds.SiteNameLengthMax}");
            return null;
        }

        private Location? FailTooDeep()
        {
            _scanner.Fail(
                ScopeErrorKind.TooDeep, _scanner.Column, "one more level of nesting",
                $"at most {Bounds.ScopeDepthMax} levels of parentheses and changes of operator");
            return null;
        }

        private Scope? FailAfter(Scope scope) => scope.IsBare && _scanner.Peek is ',' or ':'
            ? Fail<Scope>(ScopeErrorKind.BareBesideBindings, "the end, since a location without its service stands alone (or write service: location, …)")
            : Fail<Scope>(ScopeErrorKind.Unexpected, scope.IsBare ? AnOperator : "an operator, ',' or the end");

        private T? Fail<T>(ScopeErrorKind kind, string expected) where T : class
        {
            _scanner.FailHere(kind, expected);
            return null;
        }
    }
}
