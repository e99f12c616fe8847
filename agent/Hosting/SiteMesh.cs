using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Hosting;

/// <summary>What settings make of the mesh.</summary>
internal static class SiteMesh
{
    /// <summary>Everything that the mesh is told.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="directory">Folder for the server's configuration.</param>
    /// <param name="incarnation">The name of this site's durable data.</param>
    public static MeshOptions OptionsOf(AgentSettings settings, string directory, string incarnation) => new()
    {
        Site = settings.Site,
        Peers = PeersOf(settings),
        Listen = settings.Mesh.Listen,
        Tls = settings.Mesh.Tls is { } tls ? new MeshTls(tls.CertificateFile, tls.KeyFile, tls.CaFile) : null,
        NatsServer = settings.Mesh.NatsServer,
        NatsUrl = settings.Mesh.NatsUrl?.Secret,
        Directory = directory,
        Services = settings.Services.ToImmutableDictionary(service => service.Name, _ => ""),
        AgentVersion = AgentVersion.Text,
        Incarnation = incarnation,
    };

    /// <summary>The other sites.</summary>
    public static ImmutableArray<MeshPeer> PeersOf(AgentSettings settings) =>
        [.. settings.Mesh.Peers.Select(peer => new MeshPeer(peer.Site, peer.Address?.Host, peer.Address?.Port ?? 0))];
}
