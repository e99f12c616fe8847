using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Real hosts over in-memory logs and an in-memory network.</summary>
public sealed class RaftCluster(int seed) : GroupCluster
{
    private readonly Random _chance = new(seed);
    private readonly Dictionary<string, MemoryOperationLog> _logs = [];
    private readonly Dictionary<string, GroupHost> _hosts = [];
    private readonly Dictionary<string, string> _incarnations = [];
    private readonly ConcurrentDictionary<(string, GroupId), ListMachine> _machines = new();

    public MemoryNetwork Network { get; } = new(seed);

    public GroupOptions Options { get; init; } = new()
    {
        ElectionTimeMin = TimeSpan.FromMilliseconds(300),
        IdleTime = TimeSpan.FromMilliseconds(1000),
        ProposeTimeMax = TimeSpan.FromSeconds(4),
    };

    public override GroupHost Host(string site) => _hosts[site];

    public override ListMachine Machine(string site, GroupId group) => _machines[(site, group)];

    public MemoryOperationLog Log(string site) => _logs[site];

    public override Task StartAsync(string site)
    {
        if (_hosts.ContainsKey(site)) return Task.CompletedTask;
        var recovery = new GroupLogRecovery();
        _logs[site] = _logs.TryGetValue(site, out var crashed) ? crashed.Crash(_chance, recovery.Visit) : new MemoryOperationLog();
        var incarnation = _incarnations.TryGetValue(site, out var known) ? known : _incarnations[site] = $"{site}-{_chance.Next()}";
        var transport = Network.Join(site, incarnation);
        _hosts[site] = new GroupHost(
            _logs[site], recovery, transport, founding => _machines[(site, founding.Id)] = new ListMachine(),
            new LogRetention(), TimeProvider.System, new Random(_chance.Next()), Options);
        return Task.CompletedTask;
    }

    public override async Task CrashAsync(string site)
    {
        Network.Leave(site);
        _logs[site].Fail();
        if (_hosts.Remove(site, out var host)) await host.DisposeAsync();
    }

    /// <summary>The data of a site that is down are lost.</summary>
    public override void Wipe(string site)
    {
        _logs.Remove(site);
        _incarnations.Remove(site);
    }

    public override void CutOff(string site, bool isCut) => Network.CutOff(site, isCut);

    protected override string Describe() =>
        string.Join("; ", _hosts.SelectMany(h => h.Value.Groups.Select(g => $"{h.Key}: {g.Status}")));

    public override Task PassAsync() => Task.Delay(5);

    public override async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts.Values) await host.DisposeAsync();
    }
}
