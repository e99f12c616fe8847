using System.Collections.Immutable;
using System.Net;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Settings;

/// <summary>Everything that an agent is told from outside (DESIGN.md section 11), parsed and checked. Immutable.</summary>
public sealed record AgentSettings
{
    /// <summary>This site's name (<c>CHEOPS_SITE</c>).</summary>
    public required string Site { get; init; }

    /// <summary>The services of this site, at least one (<c>CHEOPS_SERVICES</c>), in the order in which they are named.</summary>
    public required ImmutableArray<ServiceSettings> Services { get; init; }

    /// <summary>The links to other sites.</summary>
    public MeshSettings Mesh { get; init; } = new();

    /// <summary>Where the API listens (<c>CHEOPS_API_LISTEN</c>); null for nowhere.</summary>
    public IPEndPoint? ApiListen { get; init; }

    /// <summary>The directory of durable state (<c>CHEOPS_DATA</c>).</summary>
    public string DataDirectory { get; init; } = Variables.DefaultDataDirectory;

    /// <summary>What is known of the application (<c>CHEOPS_PROFILES</c>), in order.</summary>
    public ImmutableArray<ProfileReference> Profiles { get; init; } = [];

    /// <summary>The least important lines that are logged (<c>CHEOPS_LOG</c>).</summary>
    public LogLevel LogLevel { get; init; } = LogLevel.Information;
}

/// <summary>One service of this site.</summary>
public sealed record ServiceSettings
{
    /// <summary>The service's name.</summary>
    public required string Name { get; init; }

    /// <summary>Where the agent listens for it, at least one address: a service may have a public and an internal front.</summary>
    public required ImmutableArray<IPEndPoint> Listen { get; init; }

    /// <summary>Where its instance is.</summary>
    public required UpstreamAddress Upstream { get; init; }

    /// <summary>TLS on its listeners; null for plain HTTP.</summary>
    public ListenerTlsSettings? Tls { get; init; }

    /// <summary>How its instance is checked, and what the agent shows it.</summary>
    public UpstreamTlsSettings UpstreamTls { get; init; } = new();

    /// <summary>The file of this site's own credential for it (<c>CHEOPS_SERVICE_CREDENTIAL</c>); null for none.</summary>
    public string? CredentialFile { get; init; }
}

/// <summary>Where a service instance is.</summary>
/// <param name="Tls">Whether it speaks <c>https</c>.</param>
/// <param name="Host">Its host name or address, IPv6 without brackets.</param>
/// <param name="Port">Its port.</param>
public sealed record UpstreamAddress(bool Tls, string Host, int Port)
{
    /// <summary>As a URL.</summary>
    public override string ToString() => $"{(Tls ? "https" : "http")}://{HostPort.Print(Host, Port)}";
}

/// <summary>TLS on listeners.</summary>
/// <param name="CertificateFile">Certificate chain in PEM (<c>CHEOPS_TLS_CERT</c>).</param>
/// <param name="KeyFile">Its private key in PEM (<c>CHEOPS_TLS_KEY</c>).</param>
/// <param name="ClientCaFile">Whose client certificates are believed (<c>CHEOPS_TLS_CLIENT_CA</c>); null: none are asked for.</param>
public sealed record ListenerTlsSettings(string CertificateFile, string KeyFile, string? ClientCaFile);

/// <summary>TLS towards a service instance.</summary>
public sealed record UpstreamTlsSettings
{
    /// <summary>Authorities by which an <c>https</c> instance is checked (<c>CHEOPS_UPSTREAM_CA</c>); null: those of the system.</summary>
    public string? CaFile { get; init; }

    /// <summary>The certificate that the agent shows (<c>CHEOPS_UPSTREAM_CERT</c>); null for none.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>Its private key (<c>CHEOPS_UPSTREAM_KEY</c>); set exactly when <see cref="CertificateFile"/> is.</summary>
    public string? KeyFile { get; init; }
}

/// <summary>The links to other sites.</summary>
public sealed record MeshSettings
{
    /// <summary>The other sites (<c>CHEOPS_PEERS</c>).</summary>
    public ImmutableArray<PeerSettings> Peers { get; init; } = [];

    /// <summary>Where their links arrive (<c>CHEOPS_MESH_LISTEN</c>); null at a site that only dials.</summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>The site's mesh identity; null: the mesh runs on loopback addresses, in the clear.</summary>
    public MeshTlsSettings? Tls { get; init; }

    /// <summary>The program that the agent starts (<c>CHEOPS_NATS_SERVER</c>).</summary>
    public string NatsServer { get; init; } = Variables.DefaultNatsServer;

    /// <summary>A server that the operator runs (<c>CHEOPS_NATS_URL</c>); null: the agent starts one when it has peers.</summary>
    public NatsUrl? NatsUrl { get; init; }
}

/// <summary>Mutual TLS between sites.</summary>
/// <param name="CertificateFile">The site's certificate (<c>CHEOPS_MESH_CERT</c>).</param>
/// <param name="KeyFile">Its private key (<c>CHEOPS_MESH_KEY</c>).</param>
/// <param name="CaFile">The authority of all sites' certificates (<c>CHEOPS_MESH_CA</c>).</param>
public sealed record MeshTlsSettings(string CertificateFile, string KeyFile, string CaFile);

/// <summary>Another site.</summary>
/// <param name="Site">Its name.</param>
/// <param name="Address">Where its links arrive; null for a site that dials this one.</param>
public sealed record PeerSettings(string Site, HostPort? Address);

/// <summary>A profile, built in or a file.</summary>
/// <param name="Name">Its name or path, as it was written.</param>
/// <param name="IsFile">Whether it is a path: it has a <c>/</c> or ends in <c>.json</c>.</param>
public sealed record ProfileReference(string Name, bool IsFile);

/// <summary>A URL of a NATS server. It may carry a password, so it prints without it.</summary>
/// <param name="url">The URL.</param>
public sealed class NatsUrl(Uri url)
{
    /// <summary>The URL with all that it carries; never printed or logged.</summary>
    public Uri Secret { get; } = url;

    /// <summary>The URL without user and password.</summary>
    public override string ToString() => $"{Secret.Scheme}://{Secret.Authority}";
}
