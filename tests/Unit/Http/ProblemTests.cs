using System.Text.Json;
using Cheops.Proto.Problems;

namespace Cheops.Tests.Unit.Http;

public sealed class ProblemTests
{
    private static JsonElement Json(Problem problem) => JsonDocument.Parse(problem.ToJson()).RootElement;

    [Fact]
    public void Says_all_that_RFC_9457_and_the_design_ask_for()
    {
        var json = Json(new Problem
        {
            Kind = "unknown-site",
            Title = "Unknown site",
            Status = 422,
            Detail = "No site is called \"Paris\" & none <will>.",
            Stage = Stage.Plan,
            RetrySafe = true,
            Site = "Site1",
            Service = "glance",
            Members = [("column", 7), ("known", new[] { "Site1", "Site2" }), ("found", "Paris"), ("final", false)],
        });
        Assert.Equal("urn:cheops:problem:unknown-site", json.GetProperty("type").GetString());
        Assert.Equal("Unknown site", json.GetProperty("title").GetString());
        Assert.Equal(422, json.GetProperty("status").GetInt32());
        Assert.Equal("No site is called \"Paris\" & none <will>.", json.GetProperty("detail").GetString());
        Assert.Equal(("Site1", "glance", "plan", true), (json.GetProperty("site").GetString(), json.GetProperty("service").GetString(), json.GetProperty("stage").GetString(), json.GetProperty("retrySafe").GetBoolean()));
        Assert.Equal(7, json.GetProperty("column").GetInt32());
        Assert.Equal(["Site1", "Site2"], json.GetProperty("known").EnumerateArray().Select(one => one.GetString()));
        Assert.Equal("Paris", json.GetProperty("found").GetString());
        Assert.False(json.GetProperty("final").GetBoolean());
    }

    [Fact]
    public void Leaves_out_what_is_not_known()
    {
        var json = Json(new Problem { Kind = "k", Title = "t", Status = 400, Detail = "d", Stage = Stage.Parse, RetrySafe = false });
        Assert.False(json.TryGetProperty("site", out _) || json.TryGetProperty("service", out _));
        Assert.False(json.GetProperty("retrySafe").GetBoolean());
    }

    [Theory]
    [InlineData("quote \" backslash \\ control \u0001\r\n\t tab")]
    [InlineData("\u00E9\u20AC\U0001F600")]
    [InlineData("</script>")]
    public void Text_survives(string text) =>
        Assert.Equal(text, Json(new Problem { Kind = "k", Title = "t", Status = 400, Detail = text, Stage = Stage.Parse, RetrySafe = false }).GetProperty("detail").GetString());

    [Fact]
    public void Half_a_surrogate_pair_breaks_nothing() =>
        Assert.Equal("a\uFFFDb", Json(new Problem { Kind = "k", Title = "t", Status = 400, Detail = "a\uD800b", Stage = Stage.Parse, RetrySafe = false }).GetProperty("detail").GetString());

    [Fact]
    public void Stages_are_named_as_the_design_names_them() => Assert.Equal(
        ["parse", "scope", "plan", "connect", "forward", "replicate", "apply", "respond"], Enum.GetValues<Stage>().Select(Problem.NameOf));
}
