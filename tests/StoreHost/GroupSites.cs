using System.Buffers.Binary;
using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Store.Log;

namespace Cheops.Tests.StoreHost;

/// <summary>Three sites of one process, each with its own log in files.</summary>
public sealed class GroupSites : IAsyncDisposable
{
    public static readonly string[] Names = ["A", "B", "C"];

    private readonly ConcurrentDictionary<string, Transport> _transports = new();
    private readonly ConcurrentDictionary<(string, GroupId), CountingMachine> _machines = new();
    private readonly List<FasterOperationLog> _logs = [];

    public Dictionary<string, GroupHost> Hosts { get; } = [];

    public long Messages => Hosts.Values.Sum(h => h.MessagesSent);

    public static GroupSites Open(string directory, GroupOptions? options = null)
    {
        var sites = new GroupSites();
        foreach (var name in Names) sites.OpenSite(name, Path.Combine(directory, name), options);
        return sites;
    }

    public CountingMachine Machine(string site, GroupId group) => _machines[(site, group)];

    public async ValueTask DisposeAsync()
    {
        foreach (var host in Hosts.Values) await host.DisposeAsync();
        foreach (var log in _logs) await log.DisposeAsync();
    }

    private void OpenSite(string name, string directory, GroupOptions? options)
    {
        Directory.CreateDirectory(directory);
        var recovery = new GroupLogRecovery();
        var log = FasterOperationLog.Open(directory, recovery.Visit);
        if (log.Recovery.Damage is { } damage) throw new InvalidDataException(damage.ToString());
        _logs.Add(log);
        var transport = _transports[name] = new Transport(this, name);
        Hosts[name] = new GroupHost(
            log, recovery, transport, founding => _machines[(name, founding.Id)] = new CountingMachine(), new LogRetention(), TimeProvider.System, new Random(), options);
        foreach (var other in Names.Where(o => o != name)) transport.PeerChanged?.Invoke(other);
        foreach (var other in _transports.Values) other.PeerChanged?.Invoke(name);
    }

    private sealed class Transport(GroupSites sites, string site) : IGroupTransport
    {
        public string Site => site;

        public string Incarnation => $"data of {site}";

        public GroupMessageHandler? Handler { get; set; }

        public Action<string>? PeerChanged { get; set; }

        public GroupPeer? Peer(string peer) =>
            new(sites._transports.ContainsKey(peer), sites._transports.TryGetValue(peer, out var there) ? there.Incarnation : "", null);

        public ValueTask SendAsync(string to, ReadOnlyMemory<byte> message, TimeSpan timeToLive)
        {
            if (!sites._transports.TryGetValue(to, out var there)) throw new IOException($"{to} is not there");
            there.Handler?.Invoke(site, message.Span);
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>Counts what it is given: the numbers that entries begin with.</summary>
public sealed class CountingMachine : IGroupMachine
{
    private readonly ConcurrentDictionary<long, int> _seen = new();

    public long ReplayFrom => 1;

    public long Count => _seen.Count;

    /// <summary>How often a number was applied.</summary>
    public int TimesOf(long number) => _seen.GetValueOrDefault(number);

    public ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay)
    {
        _seen.AddOrUpdate(BinaryPrimitives.ReadInt64LittleEndian(entry.Span), 1, static (_, n) => n + 1);
        return ValueTask.CompletedTask;
    }

    public void Forgot(long until)
    {
        // It counts what it is given, and does nothing else.
    }

    public ValueTask SeenAsync(ReadOnlyMemory<byte> entry) => ValueTask.CompletedTask;

    public ValueTask ReplayedAsync(long seenUntil) => ValueTask.CompletedTask;

    public IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync(CancellationToken cancellation = default) => throw new NotSupportedException();

    public ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default) =>
        throw new NotSupportedException();
}
