using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Workflows;

/// <summary>The fields in which workflow ids travel: their names, and what is put in them.</summary>
internal static class WorkflowFields
{
    public const string Scope = "scope";
    public const string TraceParentName = "traceparent";
    public const string TraceStateName = "tracestate";
    public const string TraceStateKey = "cheops";
    public const string BaggageName = "baggage";
    public const string BaggageKey = "cheops-workflow";
    public const string RequestIdName = "x-request-id";

    private const int TraceStateCountMax = 32;
    private const int TraceStateLengthMax = 512;
    private const int BaggageCountMax = 64;
    private const int BaggageLengthMax = 8192;

    /// <summary>What to set in the first request of a workflow, so that services carry its id on however they do.</summary>
    public static ImmutableArray<OutgoingField> ToSend<T>(Workflow workflow, Correlation correlation, in T fields) where T : IFieldSource, allows ref struct
    {
        var id = workflow.Id.ToString();
        var sent = ImmutableArray.CreateBuilder<OutgoingField>(5 + correlation.Send.Length);
        sent.Add(new OutgoingField(Scope, workflow.Scope.ToString()));
        AddTrace(sent, workflow, id, fields);
        sent.Add(new OutgoingField(BaggageName, MemberList.Put(fields.Find(BaggageName), BaggageKey, id, BaggageCountMax, BaggageLengthMax)));
        if (!IsAlias(fields.Find(RequestIdName)))
            sent.Add(new OutgoingField(RequestIdName, UuidFormat.Write(id)));
        foreach (var field in correlation.Send)
        {
            if (!IsKept(field, fields.Find(field.Name)))
                sent.Add(new OutgoingField(field.Name, field.Format.Write(id)));
        }

        return sent.DrainToImmutable();
    }

    /// <summary>The ids that the client chose and that are left as they are.</summary>
    public static ImmutableArray<string> ToKeep<T>(Correlation correlation, in T fields) where T : IFieldSource, allows ref struct
    {
        var kept = ImmutableArray.CreateBuilder<string>();
        var requestId = fields.Find(RequestIdName);
        if (IsAlias(requestId))
            kept.Add(Encoding.ASCII.GetString(requestId));
        foreach (var field in correlation.Send)
        {
            var value = fields.Find(field.Name);
            if (IsKept(field, value) && Encoding.ASCII.GetString(value) is var text && !kept.Contains(text))
                kept.Add(text);
        }

        return kept.ToImmutable();
    }

    /// <summary>Whether a value can stand for a request: visible ASCII, not too long.</summary>
    public static bool IsAlias(ReadOnlySpan<byte> value) =>
        value.Length is > 0 and <= Bounds.WorkflowAliasLengthMax && !value.ContainsAnyExceptInRange((byte)'!', (byte)'~');

    private static IdFormat UuidFormat { get; } = new("", true, "");

    // A trace that the client began is kept; the parent becomes a span of ours, which tells the workflow exactly.
    private static void AddTrace<T>(ImmutableArray<OutgoingField>.Builder sent, Workflow workflow, string id, in T fields) where T : IFieldSource, allows ref struct
    {
        if (TraceParent.TryParse(fields.Find(TraceParentName), out var parent))
        {
            sent.Add(new OutgoingField(TraceParentName, (parent with { ParentId = workflow.Id.SpanId }).ToString()));
            sent.Add(new OutgoingField(TraceStateName, MemberList.Put(fields.Find(TraceStateName), TraceStateKey, id, TraceStateCountMax, TraceStateLengthMax)));
            return;
        }

        // Without a valid traceparent a tracestate has no meaning (section 4.3), so ours alone takes its place.
        sent.Add(new OutgoingField(TraceParentName, new TraceParent(workflow.Id.Value, workflow.Id.SpanId, 0).ToString()));
        sent.Add(new OutgoingField(TraceStateName, $"{TraceStateKey}={id}"));
    }

    // What the service would ignore for its form is replaced.
    private static bool IsKept(CorrelationField field, ReadOnlySpan<byte> value) =>
        field.IsVerbatim ? IsAlias(value) : IsAlias(value) && WorkflowId.TryParse(value, field.Format, out _);
}
