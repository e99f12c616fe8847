using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>Who asks.</summary>
public enum RequestOrigin
{
    /// <summary>A client at this site; its scope, if any, came with the request.</summary>
    Client,
    /// <summary>A service at this site, for a workflow; the scope is the workflow's, resolved.</summary>
    Workflow,
    /// <summary>Another site's agent, over a link: carried out here, never planned again for this service.</summary>
    Link,
}

/// <summary>What the planner must know of a request.</summary>
public readonly ref struct PlanRequest
{
    /// <summary>The service that is addressed.</summary>
    public required string Service { get; init; }

    /// <summary>The scope; null when there is none.</summary>
    public Scope? Scope { get; init; }

    /// <summary>Who asks.</summary>
    public RequestOrigin Origin { get; init; }

    /// <summary>The path as it came, without the scope prefix and the query; empty to leave replicants aside.</summary>
    public ReadOnlySpan<byte> Path { get; init; }

    /// <summary>Whether the method only reads.</summary>
    public bool IsRead { get; init; }
}

/// <summary>A plan, or why there is none; with notes either way.</summary>
public sealed class PlanResult
{
    internal PlanResult(Plan? plan, PlanRefusal? refusal, ImmutableArray<string> notes) =>
        (Plan, Refusal, Notes) = (plan, refusal, notes);

    /// <summary>The plan; null when it was refused.</summary>
    public Plan? Plan { get; }

    /// <summary>What the scope itself came to, also where a replicant decides; null when no scope was evaluated.</summary>
    public Plan? Asked { get; init; }

    /// <summary>The replicant that the path names; null for none.</summary>
    public Replicant? Replicant { get; init; }

    /// <summary>Why there is no plan; null when there is one.</summary>
    public PlanRefusal? Refusal { get; }

    /// <summary>What a person should know of how it was planned, such as a latency that is not measured yet.</summary>
    public ImmutableArray<string> Notes { get; }

    /// <summary>Whether there is a plan.</summary>
    [MemberNotNullWhen(true, nameof(Plan))]
    [MemberNotNullWhen(false, nameof(Refusal))]
    public bool IsPlanned => Plan is not null;
}
