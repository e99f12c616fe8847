using Cheops.Agent.Interception;

namespace Cheops.Agent.Replication;

/// <summary>Sends requests of operations to this site's service instances.</summary>
internal interface IReplicaService
{
    /// <summary>Carries out one exchange and keeps the whole answer. Failures are told in the reply, not thrown.</summary>
    Task<ServiceReply> SendAsync(ServiceSend send, CancellationToken cancellation);

    /// <summary>Reads something of any size: the body of an answer with status 200 goes to <paramref name="take"/> piece by piece, of others nowhere.</summary>
    /// <returns>The answer without its body.</returns>
    Task<ServiceReply> ReadAsync(ServiceSend send, Func<ReadOnlyMemory<byte>, ValueTask> take, CancellationToken cancellation);
}

/// <summary>A whole request.</summary>
/// <param name="Service">The service.</param>
/// <param name="Method">The method.</param>
/// <param name="Target">The target in origin form.</param>
/// <param name="Fields">Field lines, each with its CR LF; without Content-Length.</param>
internal sealed record ServiceSend(string Service, string Method, ReadOnlyMemory<byte> Target, ReadOnlyMemory<byte> Fields)
{
    /// <summary>The body, delimited as it says; null for none.</summary>
    public BodySource? Body { get; init; }

    /// <summary>Bytes of the body, where it is delimited by its length.</summary>
    public long BodySize { get; init; }

    /// <summary>Whether it goes over a connection that shows the front proxy's certificate.</summary>
    public bool AsFrontProxy { get; init; }
}

/// <summary>How a request to a service ended.</summary>
internal enum ReplyKind
{
    /// <summary>The service answered.</summary>
    Answered,
    /// <summary>It surely was not executed: the service was not reached.</summary>
    NotReached,
    /// <summary>It may have been executed: no answer came, or none that can be read.</summary>
    Lost,
}

/// <summary>How a request to a service ended.</summary>
/// <param name="Kind">How.</param>
/// <param name="Answer">The answer; null unless there is one.</param>
/// <param name="Detail">For a person; empty when there is an answer.</param>
internal readonly record struct ServiceReply(ReplyKind Kind, KeptAnswer? Answer, string Detail);
