using System.Text;
using System.Text.RegularExpressions;
using Cheops.Agent.Profiles;
using CsCheck;

namespace Cheops.Tests.Unit.Profiles;

public class PathMatcherTests
{
    [Fact]
    public void Takes_literals_before_variables_and_goes_back_when_they_lead_nowhere()
    {
        var paths = Service(
            """
            "plain": { "collection": "/a/{x}/c" }, "literal": { "collection": "/a/b/d" },
            "slashed": { "collection": "/s/", "item": "/s/{id}/" }
            """).Paths;
        Assert.Equal("plain", paths.Match("/a/b/c"u8).Resource?.Name);
        Assert.Equal("literal", paths.Match("/a/b/d"u8).Resource?.Name);
        Assert.Equal("b", Encoding.ASCII.GetString(paths.Match("/a/b/c/7"u8).Variable("x")));
        Assert.Equal(PathKind.Item, paths.Match("/s/7"u8).Kind);
        Assert.Equal(PathKind.Item, paths.Match("/s/7/"u8).Kind);
        Assert.Equal(PathKind.None, paths.Match("/s//7"u8).Kind);
        Assert.Equal(PathKind.None, paths.Match("/a//c"u8).Kind);
        Assert.Equal(PathKind.None, paths.Match(""u8).Kind);
        Assert.Equal(PathKind.None, paths.Match("*"u8).Kind);
        Assert.True(paths.Match("/a/b/c"u8).Variable("nope").IsEmpty);
    }

    [Fact]
    public void Allocates_nothing()
    {
        var paths = BuiltInProfiles.Find("kubernetes")!.Services["kube"].Paths;
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++) paths.Match("/api/v1/namespaces/default/pods/web-1/log"u8);
        }));
    }

    /// <summary>Against regular expressions tried in the order of precedence.</summary>
    [Fact]
    public void Agrees_with_regular_expressions()
    {
        var segment = Gen.OneOf("a", "b", "c", "{x}");
        var collections = segment.Array[1, 3].Select(segments => "/" + string.Join('/', segments.Select((one, i) => one == "{x}" ? $"{{x{i}}}" : one)));
        var paths = Gen.OneOf("a", "b", "c", "d", "").Array[1, 5].Select(segments => "/" + string.Join('/', segments));
        Gen.Select(collections.Array[1, 4], paths).Sample((templates, path) =>
        {
            var distinct = templates.DistinctBy(Shape).ToArray();
            var items = distinct.Select(one => one + "/{id}").ToArray();
            if (items.Select(Shape).Intersect(distinct.Select(Shape)).Any())
                return true;
            var service = Service(string.Join(", ", distinct.Select((one, i) => $$""" "r{{i}}": { "collection": "{{one}}" } """)));
            var match = service.Paths.Match(Encoding.ASCII.GetBytes(path));
            var trimmed = path.Length > 1 && path.EndsWith('/') ? path[..^1] : path;
            var full = distinct.Concat(items).Where(one => Regex.IsMatch(trimmed, $"^{Pattern(one)}$")).OrderBy(Shape, StringComparer.Ordinal).FirstOrDefault();
            if (full is not null)
                return (match.Kind is PathKind.Item or PathKind.Collection) && match.Template?.Text == full;
            var below = items.Where(one => Regex.IsMatch(trimmed, $"^{Pattern(one)}/")).OrderByDescending(one => one.Count(c => c == '/'))
                .ThenBy(Shape, StringComparer.Ordinal).FirstOrDefault();
            return below is null ? match.Kind == PathKind.None : match.Kind == PathKind.Action && match.Template?.Text == below;
        });

        // A variable sorts after every literal.
        static string Shape(string template) => Regex.Replace(template, @"\{\w+\}", "~");
        static string Pattern(string template) => Regex.Replace(template, @"\{\w+\}", "[^/]+");
    }

    private static ServiceProfile Service(string resources) =>
        ProfileReaderTests.Read($$$"""{"profile": "p", "services": {"s": {"resources": { {{{resources}}} } } } }""").Services["s"];
}
