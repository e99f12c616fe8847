using System.Collections.Immutable;
using Cheops.Proto.Operations;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>Tells which requests name a replicant, by meta-id or by a local id.</summary>
public interface IReplicantIndex
{
    /// <summary>
    /// Whether a path may name a replicant; false is certain. Asked once for every request that comes from a client or a
    /// workflow: answers in well under a microsecond, allocates nothing and never blocks.
    /// </summary>
    /// <param name="service">The service that is addressed.</param>
    /// <param name="path">The path as it came, percent-encoded, without the scope prefix and the query.</param>
    bool MayName(string service, ReadOnlySpan<byte> path);

    /// <summary>The replicant that a path names, or null: not replicated. May read the disk: not for threads that serve sockets.</summary>
    /// <param name="service">The service that is addressed.</param>
    /// <param name="path">The path as it came, percent-encoded, without the scope prefix and the query.</param>
    Replicant? Find(string service, ReadOnlySpan<byte> path);
}

/// <summary>One replicated resource, as far as planning needs it.</summary>
/// <param name="MetaId">The id that stands for it at every site.</param>
/// <param name="Operator">How its replicas are kept the same.</param>
/// <param name="Sites">The sites that hold a replica, at least one.</param>
/// <param name="Record">What the table keeps of it; null where only the plan matters.</param>
public sealed record Replicant(string MetaId, ReplicationOperator Operator, ImmutableArray<string> Sites, ReplicantRecord? Record = null);

/// <summary>The index of an agent that holds no replicants.</summary>
public sealed class EmptyReplicantIndex : IReplicantIndex
{
    /// <summary>The one there is.</summary>
    public static EmptyReplicantIndex Instance { get; } = new();

    private EmptyReplicantIndex()
    {
    }

    /// <inheritdoc/>
    public bool MayName(string service, ReadOnlySpan<byte> path) => false;

    /// <inheritdoc/>
    public Replicant? Find(string service, ReadOnlySpan<byte> path) => null;
}
