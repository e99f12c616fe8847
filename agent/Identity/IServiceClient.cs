using Cheops.Agent.Mesh;

namespace Cheops.Agent.Identity;

/// <summary>Small requests of the agent's own to the service instance of this site.</summary>
public interface IServiceClient
{
    /// <summary>Carries out one request and keeps its whole answer.</summary>
    /// <exception cref="IOException">The service was not reached, or its answer was lost, too large or not HTTP.</exception>
    Task<ServiceAnswer> CallAsync(ServiceRequest request, CancellationToken cancellation);
}

/// <summary>A small request to a local service instance.</summary>
/// <param name="Service">The service.</param>
/// <param name="Method">The method.</param>
/// <param name="Target">The request target in origin form.</param>
public sealed record ServiceRequest(string Service, string Method, string Target)
{
    /// <summary>A JSON body; empty for none.</summary>
    public ReadOnlyMemory<byte> Json { get; init; }

    /// <summary>The user to act for through the front proxy; null to send no identity.</summary>
    public UserIdentity? User { get; init; }
}

/// <summary>An answer, kept whole.</summary>
/// <param name="Status">The status code.</param>
/// <param name="Body">The body, decoded.</param>
public sealed record ServiceAnswer(int Status, ReadOnlyMemory<byte> Body);
