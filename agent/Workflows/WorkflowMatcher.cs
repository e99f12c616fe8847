using System.Collections.Immutable;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Workflows;

/// <summary>
/// Tells a request's workflow by the ids its fields carry.
/// </summary>
/// <remarks>
/// <para>Looked at, in this order: <c>baggage</c> and <c>tracestate</c> (our own member); the fields that any service's
/// profile says are carried on; <c>X-Request-ID</c>; <c>traceparent</c>. Each may stand for several workflows, where a
/// client chose the same id twice; those that all known ids have in common are taken. If they disagree, or several
/// are left, with different scopes, the request is ambiguous. Ids that stand for nothing are disregarded beside one that
/// does.</para>
/// <para>A trace that we began is a workflow's own. Of one that the client began, our span tells the workflow exactly; the
/// trace alone tells it only while a request of it is in flight and nothing else does, since the client may send
/// requests without scope in the same trace.</para>
/// <para>When nothing matches: an id that is known to have been forgotten makes the request <see cref="MatchKind.Gone"/>;
/// else a field that a profile says is carried on makes it <see cref="MatchKind.Foreign"/>, so that a service's own
/// periodic requests never take another's scope.</para>
/// </remarks>
internal sealed class WorkflowMatcher
{
    private readonly WorkflowIndex _index;
    private readonly ImmutableArray<string> _carried;
    private readonly ImmutableArray<IdFormat> _formats;
    private readonly IsGoneProbe _isGone;

    public WorkflowMatcher(WorkflowIndex index, ProfileSet profiles, IsGoneProbe isGone)
    {
        _index = index;
        _isGone = isGone;
        _carried = [.. profiles.Services.SelectMany(service => service.Correlation.Match).Distinct()];
        _formats = [.. profiles.Services.SelectMany(service => service.Correlation.Send).Select(field => field.Format).Where(format => format.Prefix.Length + format.Suffix.Length > 0).Distinct()];
    }

    /// <summary>Asks whether an id, or else an alias, was known once.</summary>
    public delegate bool IsGoneProbe(WorkflowId? id, ReadOnlySpan<byte> alias);

    public WorkflowMatch Match<T>(in T fields) where T : IFieldSource, allows ref struct
    {
        var found = default(Findings);
        FindOwn(MemberList.Find(fields.Find(WorkflowFields.BaggageName), "cheops-workflow"u8), ref found);
        FindOwn(MemberList.Find(fields.Find(WorkflowFields.TraceStateName), "cheops"u8), ref found);
        foreach (var name in _carried)
        {
            var value = fields.Find(name);
            found.IsCarried |= !value.IsEmpty;
            FindAny(value, ref found);
        }

        FindAny(fields.Find(WorkflowFields.RequestIdName), ref found);
        if (TraceParent.TryParse(fields.Find(WorkflowFields.TraceParentName), out var trace))
            FindTrace(trace, ref found);
        return found.Conclude();
    }

    /// <summary>Whether a value is a workflow's own id in any form that we write, so that it needs no alias.</summary>
    public bool NamesOwn(ReadOnlySpan<byte> value, WorkflowId id) => TryReadOwn(value, out var own) && own == id;

    private void FindOwn(ReadOnlySpan<byte> value, ref Findings found)
    {
        if (!WorkflowId.TryParse(value, out var id))
            return;
        if (_index.Find(id) is { } workflow)
            found.Add(workflow.Alone);
        else
            found.IsGone |= _isGone(id, default);
    }

    private void FindAny(ReadOnlySpan<byte> value, ref Findings found)
    {
        if (!WorkflowFields.IsAlias(value))
            return;
        var isOwnForm = TryReadOwn(value, out var id);
        var workflows = (isOwnForm ? _index.Find(id)?.Alone : null) ?? _index.FindAlias(value);
        if (workflows is not null)
            found.Add(workflows);
        else
            found.IsGone |= (isOwnForm && _isGone(id, default)) || _isGone(null, value);
    }

    private void FindTrace(TraceParent trace, ref Findings found)
    {
        if (_index.Find(new WorkflowId(trace.TraceId)) is { } begun)
        {
            found.Add(begun.Alone);
            return;
        }

        if (_index.FindTrace(trace.TraceId) is not { } workflows)
        {
            found.IsGone |= _isGone(new WorkflowId(trace.TraceId), default);
            return;
        }

        foreach (var workflow in workflows)
        {
            if (workflow.Id.SpanId == trace.ParentId)
            {
                found.Add(workflow.Alone);
                return;
            }
        }

        if (found.IsEmpty && Array.Exists(workflows, workflow => Volatile.Read(ref workflow.InFlight) > 0))
            found.Add(Array.FindAll(workflows, workflow => Volatile.Read(ref workflow.InFlight) > 0));
    }

    private bool TryReadOwn(ReadOnlySpan<byte> value, out WorkflowId id)
    {
        if (WorkflowId.TryParse(value, out id) || WorkflowId.TryParseUuid(value, out id))
            return true;
        foreach (var format in _formats)
        {
            if (WorkflowId.TryParse(value, format, out id))
                return true;
        }

        return false;
    }

    // What the fields looked at so far agree on.
    private struct Findings
    {
        private Workflow[]? _workflows;

        public bool IsGone { get; set; }

        public bool IsCarried { get; set; }

        public readonly bool IsEmpty => _workflows is null;

        public void Add(Workflow[] workflows)
        {
            _workflows = _workflows is null || ReferenceEquals(_workflows, workflows) ? workflows : Narrow(_workflows, workflows);
        }

        // Apart, so that its closure costs nothing where ids agree.
        private static Workflow[] Narrow(Workflow[] before, Workflow[] workflows)
        {
            var common = Array.FindAll(workflows, workflow => Array.IndexOf(before, workflow) >= 0);
            return common.Length > 0 ? common : [.. before, .. workflows];
        }

        public readonly WorkflowMatch Conclude()
        {
            if (_workflows is null)
            {
                return IsGone
                    ? new WorkflowMatch(MatchKind.Gone, Detail: "the workflow that this request belongs to is not remembered any more, so its scope is unknown; raise 'keep' in the service's profile if this is work long after the answer")
                    : new WorkflowMatch(IsCarried ? MatchKind.Foreign : MatchKind.None);
            }

            return SocketOwnerDecision.Unanimous(_workflows) is { } workflow
                ? new WorkflowMatch(MatchKind.Matched, workflow)
                : new WorkflowMatch(MatchKind.Ambiguous, Detail: $"the request carries ids of workflows with different scopes: {SocketOwnerDecision.Scopes(_workflows)}");
        }
    }
}
