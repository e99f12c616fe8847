using Cheops.Agent.Mesh;

namespace Cheops.Tests.Integration.Mesh;

/// <summary>The contract on the twin in memory, in real time.</summary>
public sealed class MemoryMeshTests : MeshContract
{
    private readonly MemoryLinks _links = new(TimeProvider.System, new Random(1));
    private readonly Dictionary<string, MeshNode> _nodes = [];

    protected override Task<Dictionary<string, MeshNode>> StartAsync(Func<InboundStream, Task> handler, params string[] sites)
    {
        foreach (var site in sites)
        {
            var options = new MeshOptions { Site = site, Peers = [.. sites.Where(other => other != site).Select(other => new MeshPeer(other, null, 0))], Directory = "" };
            var node = new MeshNode(options, peer => _links.Connect(site, peer), () => (uint)(1 + _nodes.Count), new Random(1), TimeProvider.System, _ => { }) { StreamHandler = handler };
            _nodes[site] = node;
        }

        foreach (var node in _nodes.Values) node.Start();
        return Task.FromResult(_nodes);
    }

    protected override Task StopAsync(string site)
    {
        _nodes[site].Dispose();
        foreach (var other in _nodes.Keys) _links.Remove(site, other);
        return Task.CompletedTask;
    }

    public override Task DisposeAsync()
    {
        foreach (var node in _nodes.Values) node.Dispose();
        return Task.CompletedTask;
    }
}
