using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using Cheops.Agent.Hosting;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Store.Log;

namespace Cheops.Tests.Benchmarks.Replication;

/// <summary>
/// Founds groups of eleven sites in this process, all of them with the first, uses each once, waits until they sleep, and
/// counts the messages that they send then. Leaves the first site's data directory. <c>groups DIRECTORY COUNT</c>.
/// </summary>
internal sealed class GroupsFill : IAsyncDisposable
{
    private const int SitesCount = 11;
    private readonly ConcurrentDictionary<string, Transport> _transports = new();
    private readonly List<GroupHost> _hosts = [];
    private readonly List<IAsyncDisposable> _logs = [];
    private readonly List<DataDirectory> _directories = [];

    /// <summary>Runs it, and prints JSON.</summary>
    public static async Task RunAsync(string directory, int count)
    {
        await using var fill = new GroupsFill();
        for (var site = 1; site <= SitesCount; site++) fill.Open(directory, site);
        foreach (var transport in fill._transports.Values)
        {
            foreach (var other in fill._transports.Keys.Where(name => name != transport.Site)) transport.PeerChanged?.Invoke(other);
        }

        var sets = Sets().Take(count).ToArray();
        await Parallel.ForEachAsync(sets, new ParallelOptions { MaxDegreeOfParallelism = 4 }, (sites, _) => fill.UseAsync(sites));
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        while (fill._hosts.Any(host => host.AwakeCount > 0)) await Task.Delay(100, limit.Token);
        var before = fill.Sent;
        var begun = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(10), limit.Token);
        var perSecond = (fill.Sent - before) / Stopwatch.GetElapsedTime(begun).TotalSeconds;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{{\"groups\":{fill._hosts[0].Groups.Length},\"messages_per_second_asleep\":{perSecond:0.0}}}"));
    }

    private long Sent => _hosts.Sum(host => host.MessagesSent);

    // Of three and more sites, which need no witness.
    private static IEnumerable<ImmutableArray<string>> Sets() =>
        from others in Enumerable.Range(1, (1 << (SitesCount - 1)) - 1)
        where BitOperations.PopCount((uint)others) >= 2
        select Enumerable.Range(0, SitesCount - 1).Where(bit => (others >> bit & 1) == 1).Select(bit => Name(bit + 2)).Append(Name(1)).Order(StringComparer.Ordinal).ToImmutableArray();

    private static string Name(int site) => "Site" + site.ToString(CultureInfo.InvariantCulture);

    private void Open(string directory, int site)
    {
        var data = DataDirectory.Open(Path.Combine(directory, site.ToString(CultureInfo.InvariantCulture)));
        var recovery = new GroupLogRecovery();
        var log = FasterOperationLog.Open(data.PathOf("log"), recovery.Visit);
        var transport = new Transport(_transports, Name(site), data.Incarnation);
        _transports[transport.Site] = transport;
        _directories.Add(data);
        _logs.Add(log);
        _hosts.Add(new GroupHost(
            log, recovery, transport, _ => new NoMachine(), new LogRetention(), TimeProvider.System, new Random(site), new GroupOptions { IdleTime = TimeSpan.FromSeconds(2) }));
    }

    // On a busy machine a member does not always answer within its bound.
    private async ValueTask UseAsync(ImmutableArray<string> sites)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var group = await _hosts[0].FoundAsync(sites, null);
                // An entry that every machine understands, of an operation that none knows.
                await group.ProposeAsync(new ResolvedEntry(new OperationId(1), Name(1), Resolve.Skip).Encode());
                return;
            }
            catch (GroupException) when (attempt < 20)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts) await host.DisposeAsync();
        foreach (var log in _logs) await log.DisposeAsync();
        foreach (var directory in _directories) directory.Dispose();
    }

    private sealed class NoMachine : IGroupMachine
    {
        public long ReplayFrom => 1;

        public ValueTask ApplyAsync(long index, ReadOnlyMemory<byte> entry, bool isReplay) => ValueTask.CompletedTask;

        public ValueTask SeenAsync(ReadOnlyMemory<byte> entry) => ValueTask.CompletedTask;

        public ValueTask ReplayedAsync(long seenUntil) => ValueTask.CompletedTask;

        public void Forgot(long until) => throw new NotSupportedException();

        public IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync(CancellationToken cancellation = default) => throw new NotSupportedException();

        public ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default) =>
            throw new NotSupportedException();
    }

    private sealed class Transport(ConcurrentDictionary<string, Transport> all, string site, string incarnation) : IGroupTransport
    {
        public string Site => site;

        public string Incarnation => incarnation;

        public GroupMessageHandler? Handler { get; set; }

        public Action<string>? PeerChanged { get; set; }

        public GroupPeer? Peer(string peer) => all.TryGetValue(peer, out var there) ? new GroupPeer(true, there.Incarnation, null) : null;

        public ValueTask SendAsync(string to, ReadOnlyMemory<byte> message, TimeSpan timeToLive)
        {
            if (!all.TryGetValue(to, out var there)) throw new IOException($"{to} is not there");
            there.Handler?.Invoke(site, message.Span);
            return ValueTask.CompletedTask;
        }
    }
}
