using System.Collections.Immutable;
using System.Net;

namespace Cheops.Agent.Mesh;

/// <summary>Another site, and where its mesh listens; null when it dials this one.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Host">Host of its mesh address; null for a site that dials this one.</param>
/// <param name="Port">Port of its mesh address.</param>
public sealed record MeshPeer(string Site, string? Host, int Port)
{
    /// <summary>Whether this site can dial it.</summary>
    public bool IsDialable => Host is not null;
}

/// <summary>
/// A site's mesh identity: paths of PEM files. A second certificate, <c>&lt;site&gt;-bulk.cheops.internal</c>, in a file beside
/// the first (<c>site1-bulk.crt</c> beside <c>site1.crt</c>, its key likewise), gives bulk a link of its own; without it both
/// lanes share one, and what is urgent may wait behind the few chunks of bulk that are in flight.
/// </summary>
/// <param name="Certificate">
/// The certificate; its DNS name is <c>&lt;site&gt;.cheops.internal</c>, in lower case, and it names the address that peers dial.
/// </param>
/// <param name="Key">Its key.</param>
/// <param name="Ca">Who signs the sites' certificates.</param>
public sealed record MeshTls(string Certificate, string Key, string Ca)
{
    /// <summary>The DNS name by which a site's certificate shows whose link it is.</summary>
    /// <param name="site">The site.</param>
    /// <param name="bulk">Whether that of its bulk link is meant.</param>
    public static string NameOf(string site, bool bulk) => $"{site.ToLowerInvariant()}{(bulk ? "-bulk" : "")}.cheops.internal";

    /// <summary>The certificate or key of the bulk link: the control link's path with <c>-bulk</c> before its ending.</summary>
    /// <param name="path">The path of the control link's.</param>
    public static string BulkPath(string path) =>
        Path.Combine(Path.GetDirectoryName(path) ?? "", Path.GetFileNameWithoutExtension(path) + "-bulk" + Path.GetExtension(path));
}

/// <summary>What the mesh is told to be.</summary>
public sealed record MeshOptions
{
    /// <summary>This site.</summary>
    public required string Site { get; init; }

    /// <summary>The other sites.</summary>
    public required ImmutableArray<MeshPeer> Peers { get; init; }

    /// <summary>Where other sites' links arrive; null at a site that only dials.</summary>
    public IPEndPoint? Listen { get; init; }

    /// <summary>The mesh identity; null for a laboratory on loopback.</summary>
    public MeshTls? Tls { get; init; }

    /// <summary>Whether this site has no certificate for a bulk link of its own, so that both lanes share the links it dials.</summary>
    public bool SharesBulk { get; init; }

    /// <summary>The program to start.</summary>
    public string NatsServer { get; init; } = "nats-server";

    /// <summary>The server that the operator runs; null to start one.</summary>
    public Uri? NatsUrl { get; init; }

    /// <summary>Folder for the server's configuration.</summary>
    public required string Directory { get; init; }

    /// <summary>The services offered here, each with its version.</summary>
    public ImmutableDictionary<string, string> Services { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The agent's version.</summary>
    public string AgentVersion { get; init; } = "";

    /// <summary>The name of this site's durable data, until <see cref="MeshNode.SetData"/> tells another.</summary>
    public string Incarnation { get; init; } = "";
}
