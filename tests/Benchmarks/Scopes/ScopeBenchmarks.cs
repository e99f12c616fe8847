using System.Collections.Immutable;
using System.Text;
using BenchmarkDotNet.Attributes;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using Cheops.Proto.Scopes;

namespace Cheops.Tests.Benchmarks.Scopes;

/// <summary>What finding, planning and matching a scope costs a request.</summary>
[MemoryDiagnoser]
public class ScopeBenchmarks
{
    private const string Text = "{glance: around(here, 10ms); Site7, nova: Site1}";

    private readonly byte[] _bytes = Encoding.ASCII.GetBytes(Text);
    private readonly ScopeCache _cache = new();
    private readonly Planner _planner = new("Site1", ["glance", "nova"], EmptyReplicantIndex.Instance);
    private readonly ImmutableArray<SiteStatus> _sites =
        [.. Enumerable.Range(1, 20).Select(i => new SiteStatus { Name = $"Site{i}", State = SiteState.Unknown, IsSelf = i == 1, RoundTrip = TimeSpan.FromMilliseconds(i) })];

    private readonly PathMatcher _paths = BuiltInProfiles.Find("kubernetes")!.Services["kube"].Paths;
    private readonly WorkflowTable _workflows;
    private readonly Given _carried;
    private readonly Given _plain = new([]);
    private readonly Scope _scope;
    private ulong _lastId;

    public ScopeBenchmarks()
    {
        _scope = Parse()!;
        var profiles = ProfileSet.Combine([BuiltInProfiles.Find("openstack")!], out _);
        _workflows = new WorkflowTable(TimeProvider.System, () => new WorkflowId(new UInt128(7, ++_lastId)), profiles);
        var fields = ImmutableArray<OutgoingField>.Empty;
        for (var i = 0; i < 1000; i++)
            fields = _workflows.Begin(_scope.Resolve("nova", "Site1"), profiles.For("nova"), _plain).Fields;
        _carried = new Given(fields.Where(field => field.Name == "x-openstack-request-id"));
    }

    [Benchmark]
    public Scope? Parse() => ScopeParser.TryParse(Text, out var scope, out _) ? scope : null;

    [Benchmark]
    public Scope? ParseRemembered() => _cache.TryParse(_bytes, out var scope, out _) ? scope : null;

    [Benchmark]
    public Plan? PlanUnscoped() => _planner.Plan(new PlanRequest { Service = "glance", Path = "/v2/images/1"u8 }, _sites).Plan;

    [Benchmark]
    public Plan? PlanScoped() => _planner.Plan(new PlanRequest { Service = "glance", Scope = _scope, Path = "/v2/images/1"u8 }, _sites).Plan;

    [Benchmark]
    public Workflow? MatchCarriedId() => _workflows.Match(_carried).Workflow;

    [Benchmark]
    public MatchKind MatchWithoutId() => _workflows.Match(_plain).Kind;

    [Benchmark]
    public PathKind MatchPath() => _paths.Match("/api/v1/namespaces/default/pods/web-1/log"u8).Kind;

    private sealed class Given(IEnumerable<OutgoingField> fields) : IFieldSource
    {
        private readonly Dictionary<string, byte[]> _fields = fields.ToDictionary(field => field.Name, field => Encoding.ASCII.GetBytes(field.Value));

        public ReadOnlySpan<byte> Find(string name) => _fields.GetValueOrDefault(name);
    }
}
