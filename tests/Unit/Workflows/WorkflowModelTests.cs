using System.Text;
using Cheops.Agent.Workflows;
using Cheops.Proto;
using Cheops.Proto.Scopes;
using Cheops.Tests.Unit.Scopes;
using CsCheck;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Workflows;

/// <summary>The table under random operations, against a model that keeps everything in lists and searches them whole.</summary>
public class WorkflowModelTests
{
    private const int Capacity = 5;

    private static readonly Scope[] Scopes = [.. Enumerable.Range(0, 3).Select(i => ScopeParserTests.Parse($"glance: Site{i}"))];

    // One operation: what to do, and numbers to draw from for whatever it needs.
    private static readonly Gen<(int Kind, int A, int B, int C)> Operations = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 1000], Gen.Int[0, 1000], Gen.Int[0, 1000]);

    [Fact]
    public void The_table_does_what_the_model_does() => Operations.Array[0, 60].Sample(operations =>
    {
        var world = new World();
        foreach (var operation in operations)
            world.Run(operation);
    });

    private sealed class Known(Workflow workflow, Scope scope, string trace)
    {
        public Workflow Workflow => workflow;

        public Scope Scope => scope;

        public string Trace => trace;

        public List<string> Aliases { get; } = [];

        public int InFlight { get; set; } = 1;

        public required DateTimeOffset ActiveSince { get; set; }

        public DateTimeOffset ExpiresAt { get; set; }

        public string Hex => workflow.Id.ToString();

        public string Uuid => Hex.Insert(20, "-").Insert(16, "-").Insert(12, "-").Insert(8, "-");
    }

    private sealed class World
    {
        private static readonly string[] ClientIds = ["", "r1", "r2", "r3"];
        private static readonly string[] ClientTraces = ["", $"{1:x32}", $"{2:x32}"];
        private static readonly TimeSpan Keep = TestProfiles.Nova.Correlation.Keep;

        private readonly FakeTimeProvider _time = new();
        private readonly WorkflowTable _table;
        private readonly List<Known> _known = [];
        private readonly List<Known> _all = [];
        private readonly List<Known> _gone = [];
        private DateTimeOffset _goneAt;
        private int _lastId;

        public World() => _table = new WorkflowTable(
            _time, () => WorkflowId.FromBytes(Encoding.ASCII.GetBytes($"model-id-{++_lastId:d7}")), TestProfiles.Set, Capacity);

        public void Run((int Kind, int A, int B, int C) operation)
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            var (kind, a, b, c) = operation;
            if (kind <= 2)
                Begin(Scopes[a % Scopes.Length], ClientIds[b % ClientIds.Length], ClientTraces[c % ClientTraces.Length]);
            else if (kind == 3 && _all.Count > 0)
                Learn(_all[a % _all.Count], $"learnt-{b % 4}");
            else if (kind == 4 && _all.Count > 0)
                Finish(_all[a % _all.Count]);
            else if (kind == 5)
                _time.Advance(a % 3 == 0 ? Keep : Keep / 4);
            else if (kind == 6)
                Sweep();
            else if (kind == 7 && _known.Count > 0)
                Join(_known[a % _known.Count]);
            else
                Match(a, b, c);
            Check(_table.Count == _known.Count, $"{_table.Count} remembered instead of {_known.Count}");
        }

        private void Begin(Scope scope, string requestId, string trace)
        {
            Sweep();
            if (_known.Count == Capacity)
                Forget(_known.Where(one => one.InFlight == 0).MinBy(one => one.ExpiresAt) ?? _known.MinBy(one => one.ActiveSince)!);
            var fields = new Fields(Given(("x-request-id", requestId), ("traceparent", trace == "" ? "" : $"00-{trace}-{7:x16}-01")));
            var workflow = _table.Begin(scope, TestProfiles.Nova, fields).Workflow;
            var known = new Known(workflow, scope, trace) { ActiveSince = _time.GetUtcNow() };
            if (requestId != "")
                known.Aliases.Add(requestId);
            _known.Add(known);
            _all.Add(known);
        }

        private void Learn(Known one, string id)
        {
            _table.Learn(one.Workflow, TestProfiles.Nova, new Fields(("x-openstack-request-id", id)));
            if (_known.Contains(one))
                one.Aliases.Add(id);
        }

        private void Finish(Known one)
        {
            if (one.InFlight == 0)
                return;
            _table.Finish(one.Workflow);
            if (--one.InFlight == 0)
                one.ExpiresAt = _time.GetUtcNow() + Keep;
        }

        private void Join(Known one)
        {
            _table.Join(one.Workflow);
            if (one.InFlight++ == 0)
                one.ActiveSince = _time.GetUtcNow();
        }

        private void Sweep()
        {
            _table.Sweep();
            foreach (var expired in _known.FindAll(one => one.InFlight == 0 && one.ExpiresAt <= _time.GetUtcNow()))
                Forget(expired);
            if (_time.GetUtcNow() - _goneAt >= TimeSpan.FromMilliseconds(Bounds.WorkflowGoneKeepMs))
                _gone.Clear();
        }

        private void Forget(Known one)
        {
            _known.Remove(one);
            _gone.Add(one);
            _goneAt = _time.GetUtcNow();
        }

        // A request with up to four ids, each of a random workflow (also of forgotten ones) or unknown.
        private void Match(int a, int b, int c)
        {
            var own = _all.Count == 0 || a % 3 == 0 ? null : _all[a % _all.Count];
            var other = _all.Count == 0 || b % 3 == 0 ? null : _all[b % _all.Count];
            var requestId = (c % 5) switch { 0 => "r1", 1 => "r2", 2 => other?.Uuid ?? "", _ => "" };
            var carried = (c % 7) switch { 0 => "learnt-1", 1 => "learnt-2", 2 => own is null ? "" : $"req-{own.Uuid}", 3 => $"req-{Guid.Empty}", _ => "" };
            var baggage = c % 3 == 0 && own is not null ? own.Hex : "";
            var trace = (b % 4) switch { 0 => ClientTraces[1], 1 => own?.Hex ?? "", 2 => other is null ? "" : other.Trace == "" ? other.Hex : other.Trace, _ => "" };
            var span = b % 4 == 2 && other is not null && a % 2 == 0 ? other.Workflow.Id.SpanId : 99;
            var fields = new Fields(Given(
                ("baggage", baggage == "" ? "" : $"a=b,cheops-workflow={baggage}"), ("x-openstack-request-id", carried),
                ("x-request-id", requestId), ("traceparent", trace == "" ? "" : $"00-{trace}-{span:x16}-01")));
            var match = _table.Match(fields);
            var (kind, candidates) = Expect(baggage, carried, requestId, trace, span);
            Check(match.Kind == kind, $"{match.Kind} instead of {kind}");
            if (kind == MatchKind.Matched)
                Check(candidates.Any(one => one.Workflow == match.Workflow), "another workflow");
        }

        private (MatchKind, List<Known>) Expect(string baggage, string carried, string requestId, string trace, ulong span)
        {
            var sets = new List<List<Known>>
            {
                _known.FindAll(one => one.Hex == baggage),
                _known.FindAll(one => $"req-{one.Uuid}" == carried || one.Aliases.Contains(carried)),
                _known.FindAll(one => one.Uuid == requestId || one.Aliases.Contains(requestId)),
            };
            sets.RemoveAll(set => set.Count == 0);
            var byTrace = _known.FindAll(one => trace != "" && (one.Hex == trace || one.Trace == trace));
            var exact = byTrace.FindAll(one => one.Hex == trace || one.Workflow.Id.SpanId == span);
            if (exact.Count > 0)
                sets.Add(exact);
            else if (sets.Count == 0 && byTrace.Exists(one => one.InFlight > 0))
                sets.Add(byTrace.FindAll(one => one.InFlight > 0));
            if (_known.Count + _gone.Count == 0)
                return (MatchKind.None, []);
            if (sets.Count == 0)
                return (IsGone(baggage, carried, requestId, trace) ? MatchKind.Gone : carried != "" ? MatchKind.Foreign : MatchKind.None, []);

            var left = sets[0];
            foreach (var set in sets.Skip(1))
                left = left.Intersect(set).Any() ? [.. left.Intersect(set)] : [.. left, .. set];
            return (left.Select(one => one.Scope.ToString()).Distinct().Count() == 1 ? MatchKind.Matched : MatchKind.Ambiguous, left);
        }

        private bool IsGone(string baggage, string carried, string requestId, string trace)
        {
            var traceIsKnown = _known.Exists(one => one.Trace == trace);
            return _gone.Exists(one => one.Hex == baggage || $"req-{one.Uuid}" == carried || one.Uuid == requestId || (one.Hex == trace && !traceIsKnown)
                || one.Aliases.Contains(carried) || one.Aliases.Contains(requestId));
        }

        private static IEnumerable<(string, string)> Given(params (string Name, string Value)[] fields) => fields.Where(field => field.Value != "");

        private static void Check(bool holds, string otherwise)
        {
            if (!holds)
                throw new InvalidOperationException(otherwise);
        }
    }
}
