using System.Collections.Immutable;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// Tells whether a request's path names a replicant, by meta-id or by a local id. Asked once for every request that
/// comes from a client or a workflow, so an answer for a path that names none takes well under a microsecond,
/// allocates nothing and never blocks.
/// </summary>
public interface IReplicantIndex
{
    /// <summary>The replicant that a path names, or null: not replicated.</summary>
    /// <param name="service">The service that is addressed.</param>
    /// <param name="path">The path as it came, percent-encoded, without the scope prefix and the query.</param>
    Replicant? Find(string service, ReadOnlySpan<byte> path);
}

/// <summary>One replicated resource, as far as planning needs it.</summary>
/// <param name="MetaId">The id that stands for it at every site.</param>
/// <param name="Operator">How its replicas are kept the same.</param>
/// <param name="Sites">The sites that hold a replica, at least one.</param>
public sealed record Replicant(string MetaId, ReplicationOperator Operator, ImmutableArray<string> Sites);

/// <summary>The index of an agent that holds no replicants.</summary>
public sealed class EmptyReplicantIndex : IReplicantIndex
{
    /// <summary>The one there is.</summary>
    public static EmptyReplicantIndex Instance { get; } = new();

    private EmptyReplicantIndex()
    {
    }

    /// <inheritdoc/>
    public Replicant? Find(string service, ReadOnlySpan<byte> path) => null;
}
