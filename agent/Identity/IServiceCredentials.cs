using Cheops.Agent.Settings;

namespace Cheops.Agent.Identity;

/// <summary>This site's own credentials for its services, for requests whose user's credential has expired.</summary>
public interface IServiceCredentials
{
    /// <summary>Whether there is one for a service.</summary>
    bool Has(string service);

    /// <summary>Why there is none for a service, for a person.</summary>
    string WhyNone(string service);

    /// <summary>The field lines that tell who asks, each with its CR LF.</summary>
    /// <param name="service">The service, one that has a credential.</param>
    /// <param name="refused">Field lines that the service has just refused: others are obtained where they can be. Empty for none.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">None could be obtained; the message says why, and holds no secret.</exception>
    ValueTask<ReadOnlyMemory<byte>> GetAsync(string service, ReadOnlyMemory<byte> refused, CancellationToken cancellation);
}

/// <summary>The credentials of a site that has none.</summary>
public sealed class NoServiceCredentials : IServiceCredentials
{
    /// <summary>The one there is.</summary>
    public static NoServiceCredentials Instance { get; } = new();

    private NoServiceCredentials()
    {
    }

    /// <inheritdoc/>
    public bool Has(string service) => false;

    /// <inheritdoc/>
    public string WhyNone(string service) => $"no service credential is set ({Variables.ServiceCredential}_{Variables.SuffixOf(service)})";

    /// <inheritdoc/>
    public ValueTask<ReadOnlyMemory<byte>> GetAsync(string service, ReadOnlyMemory<byte> refused, CancellationToken cancellation) =>
        throw new IOException(WhyNone(service));
}
