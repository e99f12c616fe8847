using Cheops.Agent.Mesh;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

/// <summary>Groups' messages over the mesh's links.</summary>
internal sealed class MeshGroupTransport : IGroupTransport
{
    /// <summary>The channel of a link's messages that is the groups'.</summary>
    private const ulong GroupChannel = 1;

    private readonly MeshNode _mesh;

    public MeshGroupTransport(string site, string incarnation, MeshNode mesh)
    {
        (Site, Incarnation, _mesh) = (site, incarnation, mesh);
        mesh.MessageHandler = (from, channel, message) =>
        {
            if (channel == GroupChannel) Handler?.Invoke(from, message);
        };
        mesh.SiteChanged = name => PeerChanged?.Invoke(name);
    }

    /// <inheritdoc/>
    public string Site { get; }

    /// <inheritdoc/>
    public string Incarnation { get; }

    /// <inheritdoc/>
    public GroupMessageHandler? Handler { get; set; }

    /// <inheritdoc/>
    public Action<string>? PeerChanged { get; set; }

    /// <inheritdoc/>
    public GroupPeer? Peer(string site)
    {
        foreach (var known in _mesh.Sites)
        {
            if (known.Name == site) return new GroupPeer(known.State is SiteState.Up or SiteState.Draining, known.Incarnation, known.RoundTrip);
        }

        return null;
    }

    /// <inheritdoc/>
    public ValueTask SendAsync(string site, ReadOnlyMemory<byte> message, TimeSpan timeToLive) =>
        _mesh.SendMessageAsync(site, GroupChannel, message, timeToLive);
}
