using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;

namespace Cheops.Tests.Unit.Planning;

public class ScopeExplanationTests
{
    private static readonly Planner Planner = new("Site1", ["glance", "nova"], EmptyReplicantIndex.Instance);

    private static readonly ImmutableArray<SiteStatus> Mesh =
        [Sites.Self("Site1", "glance", "nova"), Sites.Of("Site2", 3.25, "glance"), Sites.Of("Site3", 40, "glance").Reporting(("Site2", 5))];

    [Theory]
    [InlineData("Site1 && Site3", "&&")]
    [InlineData("Site1 % Site3", "%")]
    [InlineData("Site1 ; (Site2 & Site3)", "&")]
    public void Says_what_is_not_carried_out(string scope, string operators)
    {
        var explanation = ScopeExplanation.Explain(scope, "glance", Planner, Mesh, Sites.Now);
        var note = $"this version does not carry out '{operators}' here: such a request is answered with 501";
        Assert.Contains($"note     {note}\n", explanation.Text, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(explanation.Json);
        Assert.Equal(note, json.RootElement.GetProperty("notes")[0].GetString());
    }

    [Fact]
    public void Draws_tree_plan_and_latencies()
    {
        var explanation = ScopeExplanation.Explain("{glance: around(here,10ms) & Site3, nova: Site1}", "glance", Planner, Mesh, Sites.Now);
        Assert.True(explanation.IsPlanned);
        Assert.Equal(
            """
            scope    glance: around(here, 10ms) & Site3, nova: Site1
            request  to glance at Site1
            tree
              glance
              └─ & replicate
                 ├─ around(here, 10ms)
                 └─ Site3
              nova
              └─ Site1
            plan
              └─ replicate &
                 ├─ first of
                 │  ├─ Site1 (here)
                 │  └─ Site2
                 └─ Site3
            latency  Site1 - Site2: 3.25ms, measured 2.0 s ago
            latency  Site1 - Site3: 40ms, measured 2.0 s ago

            """.ReplaceLineEndings("\n"),
            explanation.Text);
        using var json = JsonDocument.Parse(explanation.Json);
        var root = json.RootElement;
        Assert.Equal("Site1", root.GetProperty("plan").GetProperty("all")[0].GetProperty("first")[0].GetProperty("site").GetString());
        Assert.Equal(10, root.GetProperty("tree").GetProperty("glance").GetProperty("all")[0].GetProperty("withinMs").GetDouble());
        Assert.Equal(3.25, root.GetProperty("latencies")[0].GetProperty("roundTripMs").GetDouble());
        Assert.Equal(2, root.GetProperty("latencies")[0].GetProperty("ageSeconds").GetDouble());
    }

    [Fact]
    public void Tells_latencies_that_another_site_measured()
    {
        var explanation = ScopeExplanation.Explain("around(Site3, 5ms)", "glance", Planner, Mesh, Sites.Now);
        Assert.Contains("latency  Site3 - Site2: 5ms, measured 1.0 s ago\n", explanation.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Points_at_a_mistake()
    {
        var explanation = ScopeExplanation.Explain("Site1 Site2", "glance", Planner, Mesh, Sites.Now);
        Assert.False(explanation.IsPlanned);
        Assert.Equal(
            "scope, column 7: found 'Site2', expected ';', '&', '&&', '&~', '%' or the end\n  Site1 Site2\n        ^\n", explanation.Text);
        using var json = JsonDocument.Parse(explanation.Json);
        Assert.Equal(7, json.RootElement.GetProperty("column").GetInt32());
    }

    [Fact]
    public void Says_why_it_is_refused()
    {
        var explanation = ScopeExplanation.Explain("Site9", "glance", Planner, Mesh, Sites.Now);
        Assert.False(explanation.IsPlanned);
        Assert.Contains("refused  422 no site 'Site9' is known", explanation.Text, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(explanation.Json);
        Assert.Equal(422, json.RootElement.GetProperty("refusal").GetProperty("status").GetInt32());
    }

    [Fact]
    public void The_deepest_scope_can_be_explained()
    {
        var text = "a";
        for (var i = 0; i < 31; i++)
            text = $"({text} & b % c ; d)";
        var mesh = Mesh.AddRange("abcd".Select(c => Sites.Of(c.ToString(), 1, "glance")));
        Assert.True(ScopeExplanation.Explain(text, "glance", Planner, mesh, Sites.Now).IsPlanned);
    }
}
