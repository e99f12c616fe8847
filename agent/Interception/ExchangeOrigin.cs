using Cheops.Agent.Mesh;

namespace Cheops.Agent.Interception;

/// <summary>Where a request came in.</summary>
public sealed record ExchangeOrigin
{
    /// <summary>The service in front of which it was taken.</summary>
    public required string Service { get; init; }

    /// <summary><c>http</c> or <c>https</c>: how the client reached the first agent.</summary>
    public required string Scheme { get; init; }

    /// <summary>The client's address without its port; empty when it is not known.</summary>
    public string ClientAddress { get; init; } = "";

    /// <summary><see cref="ClientAddress"/> as it is written into a field.</summary>
    internal byte[] ClientAddressBytes => field ??= System.Text.Encoding.ASCII.GetBytes(ClientAddress);

    /// <summary>The client's port, 0 when it is not known: with the address it finds the owner of the socket.</summary>
    public int ClientPort { get; init; }

    /// <summary>The user that a verified client certificate names.</summary>
    public UserIdentity? CertificateUser { get; init; }

    /// <summary>The stream, for a request that another site's agent sent on; null for a client's.</summary>
    public InboundStream? Link { get; init; }
}

/// <summary>Carries requests out; the one step between taking a request and answering it.</summary>
public interface IExchangeHandler
{
    /// <summary>Carries out one request and answers it through <paramref name="exchange"/>.</summary>
    ValueTask HandleAsync(Exchange exchange);
}
