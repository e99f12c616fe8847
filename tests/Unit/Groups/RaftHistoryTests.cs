using System.Collections.Concurrent;
using System.Text;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Tests.Simulation.Linearizability;
using Xunit.Abstractions;

namespace Cheops.Tests.Unit.Groups;

/// <summary>
/// What callers see of a group of real hosts, while messages are lost, sites crash and are cut off, and leaders change, is
/// linearizable: many propose and read at once, and the whole history is judged.
/// </summary>
public sealed class RaftHistoryTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int CallersPerSite = 3;
    private const int Rounds = 14;
    private const int CallsPerRound = 60;
    private static readonly string[] Sites = ["A", "B", "C"];
    private static readonly TimeSpan CallTimeMax = TimeSpan.FromSeconds(10);

    private readonly RaftCluster _cluster = new(11);
    private readonly LogHistory _history = new();
    private readonly ConcurrentDictionary<string, Member> _members = new();
    private readonly ConcurrentQueue<(string Site, ListMachine Machine)> _machines = new();
    private int _answered;
    private volatile bool _isOver;

    // A run of a site: its group, and the machine that the group drives.
    private sealed record Member(IReplicaGroup Group, ListMachine Machine);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task What_callers_see_under_faults_is_one_log()
    {
        var seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var chance = new Random(seed);
        var group = await _cluster.FoundAsync(Sites);
        var id = group.Founding.Id;
        foreach (var site in Sites) await JoinAsync(site, id);
        _cluster.Network.LostPerMille = 5;
        var callers = Sites.SelectMany(site => Enumerable.Range(0, CallersPerSite).Select(number => CallAsync(site, $"{site}{number}", new Random(chance.Next())))).ToArray();
        for (var round = 0; round < Rounds; round++) await DisturbAsync(round, chance, id);

        _cluster.Network.LostPerMille = 0;
        _isOver = true;
        await Task.WhenAll(callers);
        await _cluster.InsistAsync(() => _members["A"].Group, "last");
        await _cluster.UntilAsync(() => Sites.All(site => _members[site].Machine.Entries.Contains("last")), "every site has the last entry");

        foreach (var (site, machine) in _machines) Give(site, machine);
        var calls = _history.Calls;
        output.WriteLine($"{calls.Count} calls, {calls.Count(call => call.IsOpen)} without an answer, {calls.Count(call => call.IsRefused)} refused; term {_members["A"].Group.Status.Term}");
        Assert.True(_members["A"].Group.Status.Term > 2, "no leader was lost");
        Assert.Equal("", string.Join('\n', LogJudge.Judge(_history)));
    }

    // One thing goes wrong, and is mended when some more calls were answered meanwhile.
    private async Task DisturbAsync(int round, Random chance, GroupId id)
    {
        var site = Sites[chance.Next(Sites.Length)];
        var other = Sites[(Array.IndexOf(Sites, site) + 1) % Sites.Length];
        switch (round % 4)
        {
            case 0:
                _cluster.CutOff(site, true);
                await MoreAsync();
                _cluster.CutOff(site, false);
                break;
            case 1:
                _members.TryRemove(site, out _);
                await _cluster.CrashAsync(site);
                await MoreAsync();
                await _cluster.StartAsync(site);
                await JoinAsync(site, id);
                break;
            case 2:
                _cluster.Network.Cut(site, other, true);
                await MoreAsync();
                _cluster.Network.Cut(site, other, false);
                break;
            default:
                await LeadAsync(_members[site].Group, other);
                break;
        }

        await MoreAsync();
    }

    private Task MoreAsync()
    {
        var enough = Volatile.Read(ref _answered) + CallsPerRound;
        return _cluster.UntilAsync(() => Volatile.Read(ref _answered) >= enough, "calls are answered");
    }

    private static async Task LeadAsync(IReplicaGroup group, string site)
    {
        try
        {
            await group.LeadAsync(site);
        }
        catch (GroupException)
        {
            // It does not lead in time: the group goes on all the same.
        }
    }

    private async Task JoinAsync(string site, GroupId id)
    {
        var group = await _cluster.FindAsync(site, id);
        var member = new Member(group, _cluster.Machine(site, id));
        _machines.Enqueue((site, member.Machine));
        _members[site] = member;
    }

    private async Task CallAsync(string site, string name, Random chance)
    {
        for (var number = 0; !_isOver; number++)
        {
            await Task.Delay(chance.Next(1, 12));
            if (!_members.TryGetValue(site, out var member)) continue;
            var entry = chance.Next(3) == 0 ? null : $"{name}-{number}";
            var call = _history.OnCalled(site, entry);
            try
            {
                using var bound = new CancellationTokenSource(CallTimeMax);
                _history.OnAnswered(call, entry is null ? await ReadAsync(member, bound.Token) : await member.Group.ProposeAsync(Encoding.ASCII.GetBytes(entry), bound.Token));
                Interlocked.Increment(ref _answered);
            }
            catch (GroupException e)
            {
                if (e.SurelyNotCommitted && entry is not null) _history.OnRefused(call);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                // The site crashed meanwhile: nobody knows.
            }
        }
    }

    private static async Task<long> ReadAsync(Member member, CancellationToken cancellation)
    {
        await member.Group.BarrierAsync(cancellation);
        return member.Machine.Applied is [.., var last] ? last.Index : 0;
    }

    // All but what was insisted on in the end, which is nobody's call.
    private void Give(string site, ListMachine machine)
    {
        var before = 0L;
        foreach (var (index, entry) in machine.Applied.Where(one => one.Entry != "last"))
        {
            _history.OnGiven(site, before, index, entry);
            before = index;
        }
    }
}
