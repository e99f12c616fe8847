using System.Text;
using Cheops.Proto;
using Cheops.Proto.Scopes;
using CsCheck;

namespace Cheops.Tests.Unit.Scopes;

public class ScopeParserTests
{
    [Theory]
    [InlineData("Site1", "Site1")]
    [InlineData("  Site1\t", "Site1")]
    [InlineData("{Site1}", "Site1")]
    [InlineData("here", "here")]
    [InlineData("{glance: Site1, nova: Site2}", "glance: Site1, nova: Site2")]
    [InlineData("glance/Site2", "glance: Site2")]
    [InlineData("glance/Site2,nova/Site1", "glance: Site2, nova: Site1")]
    [InlineData(" { glance : Site1 ; Site2 , * : here } ", "glance: Site1; Site2, *: here")]
    [InlineData("Site1;Site2;Site3", "Site1; Site2; Site3")]
    [InlineData("(Site1;Site2);Site3", "(Site1; Site2); Site3")]
    [InlineData("((Site1))", "Site1")]
    [InlineData("a&b", "a & b")]
    [InlineData("a&&b&&c", "a && b && c")]
    [InlineData("a&~b", "a &~ b")]
    [InlineData("a & b && c", "a & b && c")]
    [InlineData("(a & b) && c", "a & b && c")]
    [InlineData("a & (b && c)", "a & (b && c)")]
    [InlineData("(a & b) & c", "(a & b) & c")]
    [InlineData("a % b & c ; d", "a % b & c; d")]
    [InlineData("a % (b & c)", "a % (b & c)")]
    [InlineData("around(Site1,10ms)", "around(Site1, 10ms)")]
    [InlineData("around ( here , 0.5 s ) ; Site9", "around(here, 500ms); Site9")]
    [InlineData("around(a, 1.25ms)", "around(a, 1.25ms)")]
    [InlineData("around(a, 0ms)", "around(a, 0ms)")]
    [InlineData("around(a, 0.0001ms)", "around(a, 0.0001ms)")]
    [InlineData("around(a, 2000ms)", "around(a, 2s)")]
    [InlineData("around", "around")]
    [InlineData("around; a", "around; a")]
    [InlineData("around: around(around, 1s)", "around: around(around, 1s)")]
    [InlineData("a\r\n&\nb", "a & b")]
    public void Accepts_every_form_and_prints_it_canonically(string text, string canonical)
    {
        Assert.True(ScopeParser.TryParse(text, out var scope, out var error), error?.Message);
        Assert.Equal(canonical, scope.ToString());
        Assert.True(ScopeParser.TryParse(canonical, out var again, out _));
        Assert.Equal(scope, again);
    }

    [Theory]
    [InlineData("", ScopeErrorKind.Empty, 0)]
    [InlineData("   ", ScopeErrorKind.Empty, 3)]
    [InlineData("{}", ScopeErrorKind.Unexpected, 1)]
    [InlineData("{Site1", ScopeErrorKind.UnexpectedEnd, 6)]
    [InlineData("Site1}", ScopeErrorKind.Unexpected, 5)]
    [InlineData("Site1 Site2", ScopeErrorKind.Unexpected, 6)]
    [InlineData("Site1;", ScopeErrorKind.UnexpectedEnd, 6)]
    [InlineData("Site1;;Site2", ScopeErrorKind.Unexpected, 6)]
    [InlineData("a & & b", ScopeErrorKind.Unexpected, 4)]
    [InlineData("a &&& b", ScopeErrorKind.Unexpected, 4)]
    [InlineData("1Site", ScopeErrorKind.Unexpected, 0)]
    [InlineData("Sité1", ScopeErrorKind.Unexpected, 3)]
    [InlineData("Site1\0", ScopeErrorKind.Unexpected, 5)]
    [InlineData("glance:", ScopeErrorKind.UnexpectedEnd, 7)]
    [InlineData("glance: Site1,", ScopeErrorKind.UnexpectedEnd, 14)]
    [InlineData("glance: Site1, Site2", ScopeErrorKind.UnexpectedEnd, 20)]
    [InlineData("glance: Site1, Site2, nova: a", ScopeErrorKind.BareBesideBindings, 20)]
    [InlineData("Site2, glance: Site1", ScopeErrorKind.BareBesideBindings, 5)]
    [InlineData("glance: Site1, glance: Site2", ScopeErrorKind.ServiceBoundTwice, 15)]
    [InlineData("*: a, *: b", ScopeErrorKind.ServiceBoundTwice, 6)]
    [InlineData("*", ScopeErrorKind.Unexpected, 0)]
    [InlineData("(a", ScopeErrorKind.UnexpectedEnd, 2)]
    [InlineData("a)", ScopeErrorKind.Unexpected, 1)]
    [InlineData("()", ScopeErrorKind.Unexpected, 1)]
    [InlineData("around(a)", ScopeErrorKind.Unexpected, 8)]
    [InlineData("around(a, ms)", ScopeErrorKind.BadDuration, 10)]
    [InlineData("around(a, 10)", ScopeErrorKind.BadDuration, 12)]
    [InlineData("around(a, 10m)", ScopeErrorKind.BadDuration, 12)]
    [InlineData("around(a, 10.ms)", ScopeErrorKind.BadDuration, 12)]
    [InlineData("around(a, .5s)", ScopeErrorKind.BadDuration, 10)]
    [InlineData("around(a, 3601s)", ScopeErrorKind.BadDuration, 10)]
    [InlineData("around(a, 0.00001ms)", ScopeErrorKind.BadDuration, 10)]
    [InlineData("around(a, 999999999999999999999s)", ScopeErrorKind.BadDuration, 10)]
    [InlineData("around(a, 10ms", ScopeErrorKind.UnexpectedEnd, 14)]
    [InlineData("around(a; b, 10ms)", ScopeErrorKind.Unexpected, 8)]
    [InlineData("a : b : c", ScopeErrorKind.Unexpected, 6)]
    public void Refuses_with_the_column(string text, ScopeErrorKind kind, int column)
    {
        Assert.False(ScopeParser.TryParse(text, out var scope, out var error));
        Assert.Null(scope);
        Assert.Equal((kind, column), (error.Kind, error.Column));
        Assert.Contains($"column {column + 1}:", error.Message, StringComparison.Ordinal);
        Assert.EndsWith(new string(' ', column) + "^", error.Caret(text), StringComparison.Ordinal);
    }

    [Fact]
    public void Message_says_what_was_found_and_expected()
    {
        Assert.False(ScopeParser.TryParse("glance: Site1; ,nova: Site2", out _, out var error));
        Assert.Equal("scope, column 16: found ',', expected a site, 'here', 'around(' or '('", error.Message);
    }

    [Fact]
    public void Bounds_length_names_and_nesting()
    {
        AssertFails(new string('a', Bounds.ScopeLengthMax + 1), ScopeErrorKind.TooLong, Bounds.ScopeLengthMax);
        AssertFails(new string('a', Bounds.SiteNameLengthMax + 1), ScopeErrorKind.NameTooLong, 0);
        Assert.True(ScopeParser.TryParse(new string('a', Bounds.SiteNameLengthMax), out _, out _));

        var deepest = new string('(', Bounds.ScopeDepthMax) + "a" + new string(')', Bounds.ScopeDepthMax);
        Assert.True(ScopeParser.TryParse(deepest, out _, out _));
        AssertFails("(" + deepest + ")", ScopeErrorKind.TooDeep, Bounds.ScopeDepthMax);
        AssertFails(new string('(', Bounds.ScopeLengthMax), ScopeErrorKind.TooDeep, Bounds.ScopeDepthMax);
    }

    [Fact]
    public void A_long_chain_of_changing_operators_is_nesting()
    {
        var chain = new StringBuilder("a");
        for (var i = 0; i < Bounds.ScopeDepthMax; i++)
            chain.Append(i % 2 == 0 ? " & b" : " && b");
        Assert.True(ScopeParser.TryParse(chain.ToString(), out var scope, out _));
        Assert.Equal(chain.ToString(), scope.ToString());

        AssertFails(chain + " &~ c", ScopeErrorKind.TooDeep, chain.Length + 1);
        AssertFails($"({chain})", ScopeErrorKind.TooDeep, chain.Length - 3);
        Assert.True(ScopeParser.TryParse(string.Join('&', Enumerable.Repeat("a", 2000)), out _, out _));
    }

    [Fact]
    public void Printing_and_parsing_gives_the_same_tree() => ScopeTrees.Scopes.Sample(scope =>
    {
        var text = scope.ToString();
        return ScopeParser.TryParse(text, out var again, out _) && scope.Equals(again)
            && scope.GetHashCode() == again.GetHashCode() && again.ToString() == text;
    });

    [Fact]
    public void White_space_between_tokens_and_braces_change_nothing() =>
        Gen.Select(ScopeTrees.Scopes, Gen.OneOf(" ", "\t", "  \r\n ")).Sample((scope, space) =>
        {
            var spaced = new StringBuilder("{");
            foreach (var token in ScopeTokens.Split(scope.ToString()))
                spaced.Append(space).Append(token).Append(space);
            var text = spaced.Append('}').ToString();
            return text.Length > Bounds.ScopeLengthMax || (ScopeParser.TryParse(text, out var again, out _) && scope.Equals(again));
        });

    [Fact]
    public void Any_text_gives_a_tree_or_an_error_within_the_text()
    {
        var texts = Gen.Frequency(
            (1, Gen.String),
            (4, Gen.String[Gen.Char["ab1.:;,/&~%(){}* \tms"], 0, 40]),
            (4, Gen.Select(ScopeTrees.Scopes, Gen.Int[0, 200], Gen.Char["&;(),:{}*%~1 "]).Select((scope, at, c) =>
            {
                var text = scope.ToString();
                return text.Insert(Math.Min(at, text.Length), c.ToString());
            })));
        texts.Sample(text =>
        {
            if (ScopeParser.TryParse(text, out var scope, out var error))
                return scope.Equals(Parse(scope.ToString()));
            return error.Column >= 0 && error.Column <= text.Length && error.Message.Length > 0 && error.Caret(text).Length > 0;
        });
    }

    [Fact]
    public void Every_prefix_gives_a_tree_or_an_error_within_it()
    {
        const string whole = "{glance: around(Site1, 10ms) & (Site2; here) && Site3, nova/Site1 % Site2, *: here}";
        for (var length = 0; length < whole.Length; length++)
        {
            Assert.False(ScopeParser.TryParse(whole.AsSpan(0, length), out _, out var error));
            Assert.InRange(error.Column, 0, length);
        }

        Assert.True(ScopeParser.TryParse(whole, out _, out _));
    }

    [Fact]
    public void Caret_of_a_long_text_stays_on_the_screen() => Gen.Int[0, 4000].Sample(length =>
    {
        var text = new string('a', 10) + string.Concat(Enumerable.Repeat("; b", length / 3)) + " !" + string.Concat(Enumerable.Repeat("; c", 30));
        if (ScopeParser.TryParse(text, out _, out var error))
            return false;
        var lines = error.Caret(text).Split('\n');
        return lines.Length == 2 && lines[0].Length <= 72 && lines[1].Length <= 73
            && (text.Length > Bounds.ScopeLengthMax || lines[0][lines[1].Length - 1] == '!');
    });

    internal static Scope Parse(string text) =>
        ScopeParser.TryParse(text, out var scope, out var error) ? scope : throw new FormatException(error.Message);

    private static void AssertFails(string text, ScopeErrorKind kind, int column)
    {
        Assert.False(ScopeParser.TryParse(text, out _, out var error));
        Assert.Equal((kind, column), (error.Kind, error.Column));
    }
}
