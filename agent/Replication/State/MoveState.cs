using System.Collections.Immutable;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>A move that is not over: the replicant's operations wait.</summary>
/// <param name="Index">Index of the closing entry.</param>
/// <param name="Closing">The entry.</param>
/// <param name="From">The sites that it leaves, or stays at.</param>
public sealed record MoveState(long Index, ClosingEntry Closing, ImmutableArray<string> From)
{
    /// <summary>Its id.</summary>
    public OperationId Id => Closing.Move.Id;

    /// <summary>The replicant.</summary>
    public ReplicantKey Key => Closing.Move.Replicant;

    /// <summary>The replicant's sites from now on.</summary>
    public ImmutableArray<string> To => Closing.Sites;

    /// <summary>Sites of both groups; each can complete the move.</summary>
    public ImmutableArray<string> Staying => [.. From.Where(To.Contains)];
}
