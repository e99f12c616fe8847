using Cheops.Agent.Workflows;
using Cheops.Tests.Unit.Scopes;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Workflows;

public class SocketOwnerDecisionTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly WorkflowTable _table;
    private byte _lastId;

    public SocketOwnerDecisionTests() => _table = new WorkflowTable(
        _time, () => WorkflowId.FromBytes([.. new byte[15], ++_lastId]), TestProfiles.Set);

    [Fact]
    public void A_service_works_for_the_only_scope_it_has_under_way()
    {
        Assert.Equal(MatchKind.None, _table.MatchCaller("shop", TestProfiles.Plain).Kind);
        var workflow = Begin("items: Site2");
        var visit = _table.Visit(workflow, "shop");
        var again = _table.Visit(workflow, "shop");
        Assert.Same(workflow, _table.MatchCaller("shop", TestProfiles.Plain).Workflow);
        Assert.Equal(MatchKind.None, _table.MatchCaller("items", TestProfiles.Plain).Kind);
        Assert.Equal(MatchKind.None, _table.MatchCaller(null, TestProfiles.Plain).Kind);
        visit.Dispose();
        Assert.Same(workflow, _table.MatchCaller("shop", TestProfiles.Plain).Workflow);
        again.Dispose();
        Assert.Equal(MatchKind.None, _table.MatchCaller("shop", TestProfiles.Plain).Kind);
    }

    [Fact]
    public void Several_of_the_same_scope_are_one()
    {
        using var first = _table.Visit(Begin("items: Site2"), "shop");
        _time.Advance(TimeSpan.FromSeconds(1));
        var newest = Begin("items: Site2");
        using var second = _table.Visit(newest, "shop");
        Assert.Same(newest, _table.MatchCaller("shop", TestProfiles.Plain).Workflow);
    }

    [Fact]
    public void Several_of_different_scopes_are_refused_unless_the_profile_says_local()
    {
        using var first = _table.Visit(Begin("items: Site2"), "shop");
        using var second = _table.Visit(Begin("items: Site3"), "shop");
        var refused = _table.MatchCaller("shop", TestProfiles.Plain);
        Assert.Equal(MatchKind.Ambiguous, refused.Kind);
        Assert.Contains("shop has requests of different scopes under way (items: Site2 | items: Site3)", refused.Detail, StringComparison.Ordinal);
        Assert.Equal(MatchKind.None, _table.MatchCaller("shop", TestProfiles.Set.For("keystone")).Kind);
    }

    [Fact]
    public void Not_all_scopes_are_listed()
    {
        foreach (var i in Enumerable.Range(0, 9))
            _table.Visit(Begin($"items: Site{i}"), "shop");
        Assert.Contains(" and 5 more", _table.MatchCaller("shop", TestProfiles.Plain).Detail, StringComparison.Ordinal);
    }

    private Workflow Begin(string scope) => _table.Begin(ScopeParserTests.Parse(scope), TestProfiles.Plain, Fields.None).Workflow;
}
