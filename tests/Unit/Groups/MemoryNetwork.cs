using System.Collections.Concurrent;
using Cheops.Raft;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Transports between the hosts of one process: links can be cut, and lose messages.</summary>
public sealed class MemoryNetwork
{
    private readonly ConcurrentDictionary<string, Transport> _transports = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string, string), bool> _cut = new();
    private readonly Lock _chanceGate = new();
    private readonly Random _chance;

    public MemoryNetwork(int seed) => _chance = new Random(seed);

    /// <summary>Share of messages that are lost, in thousandths.</summary>
    public int LostPerMille { get; set; }

    /// <summary>What is measured of the way to a site and back; nothing for one that is not named.</summary>
    public ConcurrentDictionary<string, TimeSpan> RoundTrips { get; } = new(StringComparer.Ordinal);

    /// <summary>Told of each message that is sent: from where, to where, and its header.</summary>
    internal Action<string, string, GroupFrame>? Sent { get; set; }

    /// <summary>Messages delivered.</summary>
    public long Delivered { get; private set; }

    /// <summary>A site comes up, with its data.</summary>
    public IGroupTransport Join(string site, string incarnation)
    {
        var transport = new Transport(this, site, incarnation);
        _transports[site] = transport;
        foreach (var other in _transports.Values) other.Tell(site);
        return transport;
    }

    /// <summary>A site goes down.</summary>
    public void Leave(string site)
    {
        if (!_transports.TryRemove(site, out _)) return;
        foreach (var other in _transports.Values) other.Tell(site);
    }

    /// <summary>Cuts the link of two sites, or mends it.</summary>
    public void Cut(string a, string b, bool isCut)
    {
        _cut[Link(a, b)] = isCut;
        if (_transports.TryGetValue(a, out var ofA)) ofA.Tell(b);
        if (_transports.TryGetValue(b, out var ofB)) ofB.Tell(a);
    }

    /// <summary>Cuts a site off all others, or mends its links.</summary>
    public void CutOff(string site, bool isCut)
    {
        foreach (var other in _transports.Keys.Where(o => o != site)) Cut(site, other, isCut);
    }

    /// <summary>A site takes a message as if another had sent it.</summary>
    public void Inject(string from, string to, ReadOnlySpan<byte> message) => _transports[to].Handler?.Invoke(from, message);

    private bool IsUp(string a, string b) => _transports.ContainsKey(b) && !_cut.GetValueOrDefault(Link(a, b));

    private static (string, string) Link(string a, string b) => string.CompareOrdinal(a, b) < 0 ? (a, b) : (b, a);

    private bool IsLost()
    {
        if (LostPerMille == 0) return false;
        lock (_chanceGate) return _chance.Next(1000) < LostPerMille;
    }

    private void Deliver(string from, string to, ReadOnlySpan<byte> message)
    {
        if (!IsUp(from, to)) throw new IOException($"{to} is not reached");
        if (IsLost() || !_transports.TryGetValue(to, out var transport)) return;
        Delivered++;
        transport.Handler?.Invoke(from, message);
    }

    private sealed class Transport(MemoryNetwork network, string site, string incarnation) : IGroupTransport
    {
        public string Site => site;

        public string Incarnation => incarnation;

        public GroupMessageHandler? Handler { get; set; }

        public Action<string>? PeerChanged { get; set; }

        public GroupPeer? Peer(string peer)
        {
            var isUp = network.IsUp(site, peer);
            return new GroupPeer(isUp, network._transports.TryGetValue(peer, out var there) && isUp ? there.Incarnation : "", network.RoundTrips.TryGetValue(peer, out var roundTrip) ? roundTrip : null);
        }

        public ValueTask SendAsync(string to, ReadOnlyMemory<byte> message, TimeSpan timeToLive)
        {
            if (!network._transports.TryGetValue(site, out var self) || self != this) throw new IOException($"{site} is down");
            if (network.Sent is { } sent && GroupFrame.Read(message.Span, out var frame) == GroupFrameStatus.Understood) sent(site, to, frame);
            network.Deliver(site, to, message.Span);
            return ValueTask.CompletedTask;
        }

        public void Tell(string about)
        {
            if (about != site) PeerChanged?.Invoke(about);
        }
    }
}
