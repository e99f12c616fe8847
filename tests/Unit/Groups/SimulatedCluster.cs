using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Raft.Simulated;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Simulated hosts in simulated time.</summary>
public sealed class SimulatedCluster : GroupCluster
{
    private readonly FakeTimeProvider _time = new();
    private int _passed;
    private readonly SimulatedGroups _groups;
    private readonly Dictionary<string, SimulatedGroupHost> _hosts = [];
    private readonly ConcurrentDictionary<(string, GroupId), ListMachine> _machines = new();

    public SimulatedCluster(int seed, SimulatedFaults? faults = null, GroupOptions? options = null) =>
        _groups = new SimulatedGroups(_time, new Random(seed), faults, options);

    public override IGroupHost Host(string site) => _hosts[site];

    public override ListMachine Machine(string site, GroupId group) => _machines[(site, group)];

    public override Task StartAsync(string site)
    {
        if (!_hosts.ContainsKey(site))
            _hosts[site] = _groups.Join(site, founding => _machines[(site, founding.Id)] = new ListMachine());
        return Task.CompletedTask;
    }

    public override async Task CrashAsync(string site)
    {
        if (_hosts.Remove(site, out var host)) await host.DisposeAsync();
    }

    public override void Wipe(string site) => _groups.Lose(site);

    public override void CutOff(string site, bool isCut) => _groups.CutOff(site, isCut);

    public override async Task PassAsync()
    {
        // What has become due runs on the pool of threads: on a busy machine time must not run away from it.
        _time.Advance(TimeSpan.FromMilliseconds(1));
        if (++_passed % 20 == 0) await Task.Delay(1);
        else await Task.Yield();
    }

    public override async ValueTask DisposeAsync()
    {
        foreach (var host in _hosts.Values) await host.DisposeAsync();
    }
}
