using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Proto.Scopes;
using Cheops.Tests.Unit.Scopes;

namespace Cheops.Tests.Unit.Planning;

public class PlannerTests
{
    private static readonly Planner Planner = new("Site1", ["glance", "nova", "cinder"], EmptyReplicantIndex.Instance);

    private static readonly ImmutableArray<SiteStatus> Mesh =
    [
        Sites.Self("Site1", "glance=2.1", "nova"),
        Sites.Of("Site2", 3, "glance=2.7", "nova").Reporting(("Site1", 3), ("Site3", 5), ("Site4", 4), ("Elsewhere", 1)),
        Sites.Of("Site3", 20, "glance=2", "nova"),
        Sites.Of("Site4", 3, "glance"),
        Sites.Of("Site5", null, "glance=3.0", "heat"),
        Sites.Of("Site6", 7) with { State = SiteState.Down },
    ];

    [Theory]
    [InlineData("Site2", "Site2")]
    [InlineData("here", "Site1")]
    [InlineData("nova: Site2", "Site1")]
    [InlineData("*: Site2", "Site2")]
    [InlineData("*: Site2, glance: Site3", "Site3")]
    [InlineData("Site2; Site1", "Site2; Site1")]
    [InlineData("Site2; Site1; Site2", "Site2; Site1")]
    [InlineData("Site2; (Site1; Site3)", "Site2; Site1; Site3")]
    [InlineData("Site2; Site2", "Site2")]
    [InlineData("here; Site1", "Site1")]
    [InlineData("around(here, 3ms)", "Site1; Site2; Site4")]
    [InlineData("around(here, 2.9ms)", "Site1")]
    [InlineData("around(Site1, 1s)", "Site1; Site2; Site4; Site6; Site3")]
    [InlineData("around(Site2, 4ms)", "Site2; Site1; Site4")]
    [InlineData("around(Site2, 10ms); Site6", "Site2; Site1; Site4; Site3; Site6")]
    [InlineData("around(Site3, 1s)", "Site3")]
    [InlineData("Site1 & Site2", "Site1 & Site2")]
    [InlineData("Site1 & Site2 & (Site3 & here)", "Site1 & Site2 & Site3")]
    [InlineData("Site1 & Site2 && Site3", "(Site1 & Site2) && Site3")]
    [InlineData("Site1 &~ here", "Site1")]
    [InlineData("Site1 % Site2 % Site1", "Site1 % Site2")]
    [InlineData("Site1 & (Site2; Site3)", "Site1 & (Site2; Site3)")]
    [InlineData("Site6", "Site6")]
    [InlineData("Site5; Site2", "Site2")]
    public void Plans_what_a_client_asks_for(string scope, string plan)
    {
        var result = Plan(scope);
        Assert.True(result.IsPlanned, result.Refusal?.Detail);
        Assert.Equal(plan, result.Plan.ToString());
    }

    [Fact]
    public void Without_scope_and_over_a_link_a_request_runs_here_without_allocation()
    {
        var link = new PlanRequest { Service = "glance", Scope = ScopeParserTests.Parse("Site2"), Origin = RequestOrigin.Link };
        Assert.Equal(new SitePlan("Site1", true), Planner.Plan(link, Mesh).Plan);
        var named = new PlanRequest { Service = "glance", Scope = ScopeParserTests.Parse("glance: Site2"), Origin = RequestOrigin.Link };
        Assert.Equal(new SitePlan("Site1", true), Planner.Plan(named, Mesh).Plan);

        Assert.Equal(new SitePlan("Site1", true), Planner.Plan(new PlanRequest { Service = "glance", Path = "/v2/images/1"u8 }, Mesh).Plan);
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            var plain = new PlanRequest { Service = "glance", Path = "/v2/images/1"u8 };
            for (var i = 0; i < 1000; i++) Planner.Plan(plain, Mesh);
        }));
    }

    [Fact]
    public void A_bare_location_does_not_reach_the_services_that_are_called()
    {
        var request = new PlanRequest { Service = "nova", Scope = ScopeParserTests.Parse("Site2"), Origin = RequestOrigin.Workflow };
        Assert.Equal("Site1", Planner.Plan(request, Mesh).Plan?.ToString());
    }

    [Theory]
    [InlineData("Sit2", PlanRefusalKind.UnknownSite, "no site 'Sit2' is known; known sites: Site1, Site2, Site3, Site4, Site5, Site6; did you mean 'Site2'?")]
    [InlineData("Site1; Paris", PlanRefusalKind.UnknownSite, "no site 'Paris' is known; known sites: Site1, Site2, Site3, Site4, Site5, Site6")]
    [InlineData("around(Paris, 1s)", PlanRefusalKind.UnknownSite, "no site 'Paris'")]
    [InlineData("nova: Site1 & (Site2 % Paris)", PlanRefusalKind.UnknownSite, "no site 'Paris'")]
    [InlineData("glnace: Site1", PlanRefusalKind.UnknownService, "no service 'glnace' is known; known services: cinder, glance, heat, nova; did you mean 'glance'?")]
    [InlineData("Site5", PlanRefusalKind.VersionMismatch, "glance at Site5 has version 3.0, here it has 2.1")]
    [InlineData("Site2 & Site5", PlanRefusalKind.VersionMismatch, "Site5")]
    [InlineData("Site5; Site5", PlanRefusalKind.VersionMismatch, "Site5")]
    public void Refuses_what_cannot_be(string scope, PlanRefusalKind kind, string detail)
    {
        var result = Plan(scope);
        Assert.False(result.IsPlanned);
        Assert.Equal((kind, 422), (result.Refusal.Kind, result.Refusal.Status));
        Assert.Contains(detail, result.Refusal.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_service_that_a_live_site_does_not_offer_is_refused_or_left_out()
    {
        var alone = Plan("Site4", "nova");
        Assert.Equal("Site4 does not offer nova; it offers glance", alone.Refusal?.Detail);
        var among = Plan("Site4; Site2", "nova");
        Assert.Equal("Site2", among.Plan?.ToString());
        Assert.Equal("left out: Site4 does not offer nova; it offers glance", Assert.Single(among.Notes));
        var around = Plan("around(here, 3ms)", "nova");
        Assert.Equal("Site1; Site2", around.Plan?.ToString());
    }

    [Fact]
    public void What_a_scope_says_of_services_that_are_called_later_is_checked_first()
    {
        Assert.Equal(PlanRefusalKind.NotOffered, Plan("glance: Site1, nova: Site4").Refusal?.Kind);
        Assert.Equal(PlanRefusalKind.VersionMismatch, Plan("nova: Site1, glance: Site5", "nova").Refusal?.Kind);
        Assert.Equal("Site1", Plan("glance: Site1, nova: Site4; Site2").Plan?.ToString());
        Assert.Equal("Site1", Plan("glance: Site1, cinder: here").Plan?.ToString());
        Assert.Equal("Site1", Plan("glance: Site1, cinder: Site6").Plan?.ToString());
    }

    [Fact]
    public void An_around_without_any_measured_latency_is_the_site_alone_and_says_so()
    {
        var result = Plan("around(Site3, 10ms)");
        Assert.Equal("Site3", result.Plan?.ToString());
        Assert.Equal("around(Site3, …): no round-trip time from Site3 is known yet, so Site3 stands alone", Assert.Single(result.Notes));
    }

    [Fact]
    public void A_plan_is_bounded()
    {
        ImmutableArray<SiteStatus> large = [Sites.Self("Site1", "glance"), .. Enumerable.Range(2, 500).Select(i => Sites.Of($"Site{i}", i, "glance"))];
        var some = Planner.Plan(new PlanRequest { Service = "glance", Scope = ScopeParserTests.Parse("around(here, 1s)") }, large);
        Assert.Equal(501, Assert.IsType<FirstPlan>(some.Plan).Alternatives.Length);
        var many = string.Join(" & ", Enumerable.Repeat("around(here, 1s)", 20));
        var result = Planner.Plan(new PlanRequest { Service = "glance", Scope = ScopeParserTests.Parse(many) }, large);
        Assert.Equal(PlanRefusalKind.TooLarge, result.Refusal?.Kind);
    }

    [Fact]
    public void A_path_that_names_a_replicant_is_an_operation_for_its_sites()
    {
        var planner = new Planner("Site1", ["glance"], new OneReplicant());
        var request = new PlanRequest { Service = "glance", Path = "/v2/images/42"u8 };
        var plan = Assert.IsType<AllPlan>(planner.Plan(request, Mesh).Plan);
        Assert.Equal(("Site1 & Site2", "42"), (plan.ToString(), plan.Replicant?.MetaId));
        Assert.IsType<SitePlan>(planner.Plan(request with { Path = "/v2/images/43"u8 }, Mesh).Plan);
    }

    [Fact]
    public void Sites_that_come_and_go_are_seen_at_once()
    {
        ImmutableArray<SiteStatus> fewer = [Mesh[0]];
        var request = new PlanRequest { Service = "glance", Scope = ScopeParserTests.Parse("Site2") };
        Assert.True(Planner.Plan(request, Mesh).IsPlanned);
        Assert.Equal(PlanRefusalKind.UnknownSite, Planner.Plan(request, fewer).Refusal?.Kind);
        Assert.True(Planner.Plan(request, Mesh).IsPlanned);
    }

    private static PlanResult Plan(string scope, string service = "glance") =>
        Planner.Plan(new PlanRequest { Service = service, Scope = ScopeParserTests.Parse(scope) }, Mesh);

    private sealed class OneReplicant : IReplicantIndex
    {
        public bool MayName(string service, ReadOnlySpan<byte> path) => true;

        public Replicant? Find(string service, ReadOnlySpan<byte> path) =>
            Encoding.ASCII.GetString(path) == "/v2/images/42" ? new Replicant("42", ReplicationOperator.Eventual, ["Site1", "Site2"]) : null;
    }
}
