using Cheops.Proto;
using Cheops.Proto.Scopes;
using CsCheck;

namespace Cheops.Tests.Unit.Scopes;

public class ScopeTests
{
    [Fact]
    public void A_bare_location_binds_only_the_addressed_service()
    {
        var scope = ScopeParserTests.Parse("Site2");
        Assert.Equal(new SiteLocation("Site2"), scope.LocationOf("glance"));
        Assert.Null(scope.LocationOf("nova", addressed: false));
        var resolved = scope.Resolve("glance", "Site1");
        Assert.Equal("glance: Site2", resolved.ToString());
        Assert.Null(resolved.LocationOf("nova"));
    }

    [Fact]
    public void Star_binds_every_service_not_named()
    {
        var scope = ScopeParserTests.Parse("*: Site3, glance: Site2");
        Assert.Equal("Site2", scope.LocationOf("glance")?.ToString());
        Assert.Equal("Site3", scope.LocationOf("nova")?.ToString());
    }

    [Fact]
    public void Here_is_replaced_wherever_it_stands() => ScopeTrees.Scopes.Sample(scope =>
    {
        var text = scope.WithHere("Site7").ToString();
        var expected = string.Concat(Mark(scope.ToString()));
        return string.Concat(Mark(text).Select(token => token)) == expected.Replace("<here>", "<Site7>", StringComparison.Ordinal)
            && !scope.WithHere("Site7").MentionsHere;

        // A service may be called 'here' as well; it stands before a colon and is not a site.
        static IEnumerable<string> Mark(string canonical)
        {
            var tokens = ScopeTokens.Split(canonical).ToArray();
            return tokens.Select((token, i) => i + 1 < tokens.Length && tokens[i + 1] == ":" ? token : $"<{token}>");
        }
    });

    [Theory]
    [InlineData("Sit1", "Site1")]
    [InlineData("site2", "Site2")]
    [InlineData("Siet3", "Site3")]
    [InlineData("Paris", null)]
    public void Nearest_name(string written, string? meant) =>
        Assert.Equal(meant, NearestName.Find(written, ["Site3", "Site2", "Site1"]));
}
