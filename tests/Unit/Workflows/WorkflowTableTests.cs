using System.Text;
using Cheops.Agent.Workflows;
using Cheops.Proto;
using Cheops.Proto.Scopes;
using Cheops.Tests.Unit.Scopes;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Workflows;

public class WorkflowTableTests
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";

    private readonly FakeTimeProvider _time = new();
    private readonly WorkflowTable _table;
    private ulong _lastId;

    public WorkflowTableTests() => _table = Table();

    [Fact]
    public void A_workflow_goes_along_in_every_way_that_software_carries_on()
    {
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, Fields.None);
        var sent = Fields.None.With(set);
        var id = workflow.Id.ToString();
        Assert.Equal("glance: Site2", sent["scope"]);
        Assert.Equal($"00-{id}-{workflow.Id.SpanId:x16}-00", sent["traceparent"]);
        Assert.Equal($"cheops-workflow={id}", sent["baggage"]);
        Assert.Matches("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", sent["x-request-id"]);
        Assert.Equal($"req-{sent["x-request-id"]}", sent["x-openstack-request-id"]);

        foreach (var name in new[] { "traceparent", "tracestate", "baggage", "x-request-id", "x-openstack-request-id" })
            AssertMatched(workflow, sent.Only(name));
        Assert.Equal(MatchKind.None, _table.Match(sent.Only("scope")).Kind);
        Assert.Equal(MatchKind.None, _table.Match(Fields.None).Kind);
    }

    [Fact]
    public void What_the_client_brought_is_kept()
    {
        var client = new Fields(
            ("traceparent", $"00-{Trace}-b7ad6b7169203331-01"), ("tracestate", "vendor=1"), ("baggage", "user=7"),
            ("x-request-id", "client-7"), ("x-openstack-request-id", "req-0af76519-16cd-43dd-8448-eb211c80319c"));
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, client);
        var sent = client.With(set);
        var id = workflow.Id.ToString();
        Assert.Equal($"00-{Trace}-{workflow.Id.SpanId:x16}-01", sent["traceparent"]);
        Assert.Equal($"cheops={id},vendor=1", sent["tracestate"]);
        Assert.Equal($"cheops-workflow={id},user=7", sent["baggage"]);
        Assert.Equal("client-7", sent["x-request-id"]);
        Assert.Equal(client["x-openstack-request-id"], sent["x-openstack-request-id"]);
        foreach (var name in new[] { "traceparent", "baggage", "x-request-id", "x-openstack-request-id" })
            AssertMatched(workflow, sent.Only(name));
    }

    [Theory]
    [InlineData("x-openstack-request-id", "req-mine")]
    [InlineData("x-openstack-request-id", "REQ-0af76519-16cd-43dd-8448-eb211c80319c")]
    [InlineData("x-request-id", "with space")]
    [InlineData("traceparent", "00-nonsense")]
    public void What_no_service_would_carry_on_is_replaced(string name, string value)
    {
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, new Fields((name, value)));
        Assert.NotEqual(value, Fields.None.With(set)[name]);
        AssertMatched(workflow, Fields.None.With(set).Only(name));
    }

    [Fact]
    public void A_propagated_field_is_kept_in_any_form()
    {
        var (workflow, set) = _table.Begin(Scope("shop: Site2"), TestProfiles.Shop, new Fields(("x-shop-trace", "abc")));
        Assert.DoesNotContain(set, field => field.Name == "x-shop-trace");
        AssertMatched(workflow, new Fields(("x-shop-trace", "abc")));
        var (other, setToo) = _table.Begin(Scope("shop: Site2"), TestProfiles.Shop, Fields.None);
        AssertMatched(other, Fields.None.With(setToo).Only("x-shop-trace"));
    }

    [Fact]
    public void An_id_that_the_service_chose_is_learnt_from_its_answer()
    {
        var (workflow, _) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, Fields.None);
        var chosen = "req-11111111-2222-4333-8444-555555555555";
        Assert.Equal(MatchKind.Foreign, _table.Match(new Fields(("x-openstack-request-id", chosen))).Kind);
        _table.Learn(workflow, TestProfiles.Nova, new Fields(("x-openstack-request-id", chosen), ("x-compute-request-id", chosen)));
        AssertMatched(workflow, new Fields(("x-openstack-request-id", chosen)));
        for (var i = 0; i < 2 * Bounds.WorkflowAliasCountMax; i++)
            _table.Learn(workflow, TestProfiles.Nova, new Fields(("x-openstack-request-id", $"other-{i}")));
        Assert.Equal(Bounds.WorkflowAliasCountMax, workflow.Aliases.Length);
    }

    [Fact]
    public void A_services_own_request_takes_no_workflows_scope()
    {
        _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, Fields.None);
        var periodic = new Fields(("x-openstack-request-id", "req-99999999-2222-4333-8444-555555555555"));
        Assert.Equal(MatchKind.Foreign, _table.Match(periodic).Kind);
    }

    [Fact]
    public void A_client_that_uses_an_id_twice_is_told_apart_by_other_ids_or_refused()
    {
        var client = new Fields(("x-request-id", "again"));
        var (one, setOne) = _table.Begin(Scope("glance: Site2"), TestProfiles.Plain, client);
        var (two, setTwo) = _table.Begin(Scope("glance: Site3"), TestProfiles.Plain, client);
        AssertMatched(one, client.With(setOne).Only("x-request-id", "traceparent"));
        AssertMatched(two, client.With(setTwo).Only("x-request-id", "baggage"));
        var ambiguous = _table.Match(client);
        Assert.Equal(MatchKind.Ambiguous, ambiguous.Kind);
        Assert.Contains("glance: Site2 | glance: Site3", ambiguous.Detail, StringComparison.Ordinal);

        var crossed = new Fields(("traceparent", client.With(setOne)["traceparent"]), ("baggage", client.With(setTwo)["baggage"]));
        Assert.Equal(MatchKind.Ambiguous, _table.Match(crossed).Kind);
    }

    [Fact]
    public void Different_workflows_of_the_same_scope_are_not_ambiguous()
    {
        var client = new Fields(("x-request-id", "again"));
        _table.Begin(Scope("glance: Site2"), TestProfiles.Plain, client);
        _time.Advance(TimeSpan.FromSeconds(1));
        var (newest, _) = _table.Begin(Scope("glance: Site2"), TestProfiles.Plain, client);
        AssertMatched(newest, client);
    }

    [Fact]
    public void A_clients_trace_alone_tells_only_while_the_request_is_in_flight()
    {
        var client = new Fields(("traceparent", $"00-{Trace}-b7ad6b7169203331-01"));
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Plain, client);
        var newSpan = new Fields(("traceparent", $"00-{Trace}-00000000000000aa-01"));
        AssertMatched(workflow, newSpan);
        _table.Finish(workflow);
        Assert.Equal(MatchKind.None, _table.Match(newSpan).Kind);
        AssertMatched(workflow, client.With(set).Only("traceparent"));
    }

    [Fact]
    public void A_workflow_is_remembered_for_its_services_time_after_the_answer()
    {
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, Fields.None);
        var late = Fields.None.With(set).Only("x-openstack-request-id");
        _time.Advance(TimeSpan.FromDays(2));
        _table.Sweep();
        AssertMatched(workflow, late);
        _table.Finish(workflow);
        _time.Advance(TimeSpan.FromHours(2) - TimeSpan.FromTicks(1));
        _table.Sweep();
        AssertMatched(workflow, late);

        // A late sub-request keeps it; its time runs anew from the last answer.
        _table.Join(workflow);
        _time.Advance(TimeSpan.FromHours(3));
        _table.Sweep();
        AssertMatched(workflow, late);
        _table.Finish(workflow);
        _time.Advance(TimeSpan.FromHours(2));
        _table.Sweep();
        Assert.Equal((0, 1L, 0L), (_table.Count, _table.ExpiredCount, _table.EvictedCount));
        var gone = _table.Match(late);
        Assert.Equal(MatchKind.Gone, gone.Kind);
        Assert.Contains("keep", gone.Detail, StringComparison.Ordinal);
        _table.Learn(workflow, TestProfiles.Nova, new Fields(("x-openstack-request-id", "req-late")));
        Assert.NotEqual(MatchKind.Matched, _table.Match(new Fields(("x-openstack-request-id", "req-late"))).Kind);
    }

    [Fact]
    public void When_full_the_finished_go_first_and_are_known_as_gone()
    {
        var table = Table(capacity: 3);
        var begun = Enumerable.Range(0, 3).Select(i =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            return table.Begin(Scope($"glance: Site{i}"), TestProfiles.Plain, Fields.None);
        }).ToArray();
        table.Finish(begun[2].Workflow);
        table.Begin(Scope("glance: Site3"), TestProfiles.Plain, Fields.None);
        Assert.Equal((3, 1L), (table.Count, table.EvictedCount));
        Assert.Equal(MatchKind.Gone, table.Match(Fields.None.With(begun[2].Fields).Only("traceparent")).Kind);
        Assert.Equal(MatchKind.Matched, table.Match(Fields.None.With(begun[0].Fields)).Kind);

        table.Begin(Scope("glance: Site4"), TestProfiles.Plain, Fields.None);
        Assert.Equal(MatchKind.Gone, table.Match(Fields.None.With(begun[0].Fields)).Kind);
        Assert.Equal(MatchKind.Matched, table.Match(Fields.None.With(begun[1].Fields)).Kind);
        table.Finish(begun[0].Workflow);
        Assert.Equal((3, 2L, 5L), (table.Count, table.EvictedCount, table.BegunCount));
    }

    [Fact]
    public void What_was_forgotten_long_ago_costs_nothing_any_more()
    {
        var (workflow, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Plain, Fields.None);
        _table.Finish(workflow);
        _time.Advance(TimeSpan.FromHours(1));
        _table.Sweep();
        Assert.Equal(MatchKind.Gone, _table.Match(Fields.None.With(set)).Kind);
        Assert.Equal(MatchKind.Gone, _table.Match(Fields.None.With(set).Only("baggage")).Kind);
        _time.Advance(TimeSpan.FromMilliseconds(Bounds.WorkflowGoneKeepMs));
        _table.Sweep();
        Assert.Equal(MatchKind.None, _table.Match(Fields.None.With(set)).Kind);
    }

    [Fact]
    public void A_workflow_of_another_site_is_adopted_and_joined_but_never_with_another_scope()
    {
        var (workflow, set) = _table.Begin(Scope("nova: Site2, glance: Site1"), TestProfiles.Nova, Fields.None);
        var there = Table();
        var sent = Fields.None.With(set);
        var adopted = there.Adopt(workflow.Id, workflow.Scope, TestProfiles.Nova, sent);
        Assert.NotNull(adopted);
        Assert.Same(adopted, there.Match(sent.Only("x-openstack-request-id")).Workflow);
        Assert.Same(adopted, there.Adopt(workflow.Id, Scope("nova: Site2, glance: Site1"), TestProfiles.Plain, sent));
        Assert.Null(there.Adopt(workflow.Id, Scope("nova: Site9"), TestProfiles.Nova, sent));
        there.Finish(adopted);
        there.Finish(adopted);
        _time.Advance(TimeSpan.FromHours(3));
        there.Sweep();
        Assert.Equal(0, there.Count);
    }

    [Fact]
    public void Matching_allocates_nothing()
    {
        var (_, set) = _table.Begin(Scope("glance: Site2"), TestProfiles.Nova, Fields.None);
        var sent = Fields.None.With(set);
        var foreign = new Fields(("x-request-id", "unknown"), ("traceparent", $"00-{Trace}-b7ad6b7169203331-01"));
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                _table.Match(sent);
                _table.Match(foreign);
            }
        }));
    }

    [Fact]
    public async Task Two_hundred_concurrent_workflows_of_different_scopes_never_mix()
    {
        // Each service carries on another one of the fields; all start together, and make sub-requests again and again.
        string[] carried = ["traceparent", "tracestate", "baggage", "x-request-id", "x-openstack-request-id"];
        using var start = new Barrier(8);
        var mixed = 0;
        var workers = Enumerable.Range(0, 8).Select(worker => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait();
                for (var round = 0; round < 20; round++)
                {
                    var begun = Enumerable.Range(0, 25).Select(i => _table.Begin(Scope($"glance: Site{worker}-{i}-{round}"), TestProfiles.Nova, Fields.None)).ToArray();
                    foreach (var (workflow, set) in begun)
                    {
                        foreach (var name in carried)
                        {
                            var match = _table.Match(Fields.None.With(set).Only(name));
                            if (match.Workflow != workflow || match.Workflow.Scope.ToString() != workflow.Scope.ToString())
                                Interlocked.Increment(ref mixed);
                        }
                    }

                    foreach (var (workflow, _) in begun)
                        _table.Finish(workflow);
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        await Task.WhenAll(workers);
        Assert.Equal((0, 4000), (mixed, _table.Count));
    }

    private WorkflowTable Table(int capacity = Bounds.WorkflowCountMax) =>
        new(_time, () => WorkflowId.FromBytes(Encoding.ASCII.GetBytes($"id-{Interlocked.Increment(ref _lastId):d13}")), TestProfiles.Set, capacity);

    private void AssertMatched(Workflow workflow, Fields fields)
    {
        var match = _table.Match(fields);
        Assert.Equal(MatchKind.Matched, match.Kind);
        Assert.Same(workflow, match.Workflow);
    }

    private static Scope Scope(string text) => ScopeParserTests.Parse(text);
}
