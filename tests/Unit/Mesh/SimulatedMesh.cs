using System.Buffers;
using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Unit.Mesh;

/// <summary>Sites linked in memory, in simulated time.</summary>
internal sealed class SimulatedMesh
{
    private readonly Dictionary<string, MeshNode> _nodes = [];
    private readonly Random _chance;
    private readonly string[] _sites;

    public SimulatedMesh(int seed, params string[] sites)
    {
        _chance = new Random(seed);
        _sites = sites;
        Links = new MemoryLinks(Simulator.Time, _chance);
    }

    public Simulator Simulator { get; } = new();

    public MemoryLinks Links { get; }

    public List<string> Warnings { get; } = [];

    public MeshNode this[string site] => _nodes[site];

    public MeshNode Start(string site, Func<InboundStream, Task>? handler = null)
    {
        var node = new MeshNode(
            new MeshOptions
            {
                Site = site,
                Peers = [.. _sites.Where(other => other != site).Select(other => new MeshPeer(other, null, 0))],
                Directory = "",
                AgentVersion = "1.0.0",
                Incarnation = "of " + site,
                Services = ImmutableDictionary<string, string>.Empty.Add("shop", "1.2"),
            },
            peer => Links.Connect(site, peer),
            () => (uint)_chance.Next(1, int.MaxValue),
            _chance,
            Simulator.Time,
            Warnings.Add)
        {
            StreamHandler = handler ?? EchoAsync,
        };
        _nodes[site] = node;
        node.Start();
        return node;
    }

    public void Kill(string site)
    {
        _nodes[site].Dispose();
        foreach (var other in _sites) Links.Remove(site, other);
    }

    public SiteStatus Status(string at, string of) => this[at].Sites.First(site => site.Name == of);

    public Task UntilUp(string one, string two) =>
        Simulator.Until(() => Status(one, two).State == SiteState.Up && Status(two, one).State == SiteState.Up);

    /// <summary>Two sites that know each other as up.</summary>
    public async Task TwoUpAsync(Func<InboundStream, Task>? atTwo = null)
    {
        Start("Site1");
        Start("Site2", atTwo);
        await UntilUp("Site1", "Site2");
    }

    public void Cut(string from, string to, bool cut = true) => Links.Way(from, to).IsCut = cut;

    public void CutBoth(bool cut = true)
    {
        Cut("Site1", "Site2", cut);
        Cut("Site2", "Site1", cut);
    }

    public Channel Open(string from = "Site1", string to = "Site2") => this[from].OpenStream(to, new StreamOpening { Service = "shop" });

    public static async Task EchoAsync(InboundStream inbound)
    {
        await using var channel = inbound.Channel;
        try
        {
            while (true)
            {
                var read = await channel.Input.ReadAsync();
                foreach (var piece in read.Buffer) await channel.Output.WriteAsync(piece);
                channel.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }

            await channel.CompleteOutputAsync();
        }
        catch (IOException)
        {
            // The other end sees it too.
        }
    }

    public static async Task<byte[]> ReadAllAsync(Channel channel)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            foreach (var piece in read.Buffer) all.Write(piece.Span);
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return all.WrittenSpan.ToArray();
        }
    }

    /// <summary>Sends, in pieces, what the other end echoes, and reads it.</summary>
    public async Task<byte[]> RoundTripAsync(byte[] sent, int pieceSize, string from = "Site1", string to = "Site2")
    {
        await using var channel = Open(from, to);
        var reading = ReadAllAsync(channel);
        try
        {
            for (var at = 0; at < sent.Length; at += pieceSize) await channel.Output.WriteAsync(sent.AsMemory(at, Math.Min(pieceSize, sent.Length - at)));
            await channel.CompleteOutputAsync();
        }
        catch (IOException)
        {
            await reading;
            throw;
        }

        return await reading;
    }
}
