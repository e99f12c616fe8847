using System.Collections.Immutable;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Workflows;

/// <summary>
/// A client's scoped request together with the sub-requests that services make to answer it. Its id, scope and service
/// never change; the rest belongs to <see cref="WorkflowTable"/>.
/// </summary>
public sealed class Workflow
{
    internal Workflow(WorkflowId id, Scope scope, string service, DateTimeOffset begunAt)
    {
        (Id, Scope, Service, BegunAt) = (id, scope, service, begunAt);
        Alone = [this];
    }

    /// <summary>Its id.</summary>
    public WorkflowId Id { get; }

    /// <summary>Its scope, resolved: no <c>here</c>, no bare location.</summary>
    public Scope Scope { get; }

    /// <summary>The service that the client addressed.</summary>
    public string Service { get; }

    /// <summary>When this agent first saw it.</summary>
    public DateTimeOffset BegunAt { get; }

    /// <summary>An array of this workflow alone, so that finding it allocates nothing.</summary>
    internal Workflow[] Alone { get; }

    /// <summary>The trace it belongs to: the client's when it brought one, else its own id.</summary>
    internal UInt128 TraceId { get; set; }

    /// <summary>Other ids by which it is known; those the services or this agent chose are remembered when it is gone.</summary>
    internal ImmutableArray<string> Aliases { get; set; } = [];

    /// <summary>How many requests of it this agent is carrying out.</summary>
    internal int InFlight;

    /// <summary>How long it is remembered after the last answer.</summary>
    internal TimeSpan Keep { get; set; }

    /// <summary>When it is forgotten; meaningful while nothing of it is in flight.</summary>
    internal DateTimeOffset ExpiresAt { get; set; }

    /// <summary>Whether it waits in the table's queue to be forgotten.</summary>
    internal bool IsQueued { get; set; }

    /// <summary>Whether the table has forgotten it.</summary>
    internal bool IsGone { get; set; }

    /// <summary>Its place among those in flight.</summary>
    internal LinkedListNode<Workflow>? Place { get; set; }
}

/// <summary>A workflow as it begins.</summary>
/// <param name="Workflow">The workflow; <see cref="WorkflowTable.Finish"/> is called once its answer is through.</param>
/// <param name="Fields">The fields to set in the request before it is sent on.</param>
public readonly record struct WorkflowBeginning(Workflow Workflow, ImmutableArray<OutgoingField> Fields);

/// <summary>What a request's fields tell of its workflow.</summary>
public enum MatchKind
{
    /// <summary>Nothing: it carries no id that tells. The calling socket's owner may (<see cref="WorkflowTable.MatchCaller"/>).</summary>
    None,
    /// <summary>It belongs to <see cref="WorkflowMatch.Workflow"/>.</summary>
    Matched,
    /// <summary>It carries an id as its callers carry them on, of a request that had no scope: it runs here.</summary>
    Foreign,
    /// <summary>It carries ids of workflows with different scopes; refused.</summary>
    Ambiguous,
    /// <summary>It belongs to a workflow that was forgotten, by age or because the table was full; refused.</summary>
    Gone,
}

/// <summary>What a request's fields tell of its workflow.</summary>
/// <param name="Kind">What they tell.</param>
/// <param name="Workflow">The workflow; null unless matched.</param>
/// <param name="Detail">Why it is refused, in words for a person; empty unless it is.</param>
public readonly record struct WorkflowMatch(MatchKind Kind, Workflow? Workflow = null, string Detail = "");
