using System.Collections.Concurrent;
using Cheops.Proto;
using Cheops.Raft;
using Cheops.Raft.Protocol;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>What only the real host does: sleep, members that are away at the founding, snapshots, lost messages, full disks.</summary>
public sealed class RaftHostTests : IAsyncLifetime
{
    private readonly RaftCluster _cluster = new(3);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    // A busy machine deposes no leader.
    private static RaftCluster Patient() => new(7)
    {
        Options = new GroupOptions { ElectionTimeMin = TimeSpan.FromSeconds(3), IdleTime = TimeSpan.FromMinutes(2), ProposeTimeMax = TimeSpan.FromSeconds(8) },
    };

    [Fact]
    public async Task An_idle_group_falls_asleep_sends_nothing_and_wakes_when_it_is_used()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        var there = await _cluster.FindAsync("B", group.Founding.Id);
        await _cluster.ProposeAsync(there, "one");
        // Two whole election times, in which a group that is awake sends at least a heartbeat. A message that was still on
        // its way may wake a member, which falls asleep again; a group that goes on sending is never silent.
        var isSilent = false;
        for (var round = 0; round < 20 && !isSilent; round++)
        {
            await AsleepAsync("A", "B", "C");
            var delivered = _cluster.Network.Delivered;
            await Task.Delay(_cluster.Options.ElectionTimeMin * 2);
            isSilent = delivered == _cluster.Network.Delivered;
        }

        Assert.True(isSilent, "an idle group goes on sending");

        await _cluster.ProposeAsync(group, "two");
        await _cluster.UntilAsync(() => _cluster.Machine("C", group.Founding.Id).Entries is ["one", "two"], "C has both");
    }

    [Theory]
    [InlineData("A")]
    [InlineData("B")]
    public async Task A_group_that_is_asleep_is_woken_by_one_round_of_votes_and_its_new_leader_has_no_round_in_vain(string waking)
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        await _cluster.FindAsync("C", group.Founding.Id);
        var here = await _cluster.FindAsync(waking, group.Founding.Id);
        await _cluster.ProposeAsync(here, "one");
        await AsleepAsync("A", "B", "C");
        var (sent, answers) = (new ConcurrentQueue<GroupFrame>(), new ConcurrentQueue<GroupFrame>());
        _cluster.Network.Sent = (from, to, frame) => (from == waking ? sent : answers).Enqueue(frame);
        await _cluster.ProposeAsync(here, "two");
        _cluster.Network.Sent = null;
        Assert.DoesNotContain(sent, frame => frame.Kind == GroupFrameKind.PreVote);
        Assert.Equal(2, sent.Count(frame => frame.Kind == GroupFrameKind.Vote));
        var appends = sent.Where(frame => frame.Kind == GroupFrameKind.Append).Select(frame => frame.Request).ToHashSet();
        Assert.DoesNotContain(answers, frame => appends.Contains(frame.Request) && (HeartbeatResult)frame.B == HeartbeatResult.Rejected);
    }

    [Fact]
    public async Task A_site_that_was_cut_off_catches_up_although_the_group_is_asleep()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        await _cluster.FindAsync("C", group.Founding.Id);
        await _cluster.ProposeAsync(group, "one");
        _cluster.CutOff("C", true);
        await _cluster.InsistAsync(() => group, "two");
        await AsleepAsync("A", "B", "C");
        _cluster.CutOff("C", false);
        await _cluster.UntilAsync(() => _cluster.Machine("C", group.Founding.Id).Entries.Contains("two"), "C catches up");
    }

    // Whoever has more is woken when the two meet, and must not fall asleep over it.
    [Fact]
    public async Task A_site_that_lacks_everything_is_given_it_although_votes_are_lost_for_longer_than_a_group_stays_awake()
    {
        var group = await _cluster.FoundAsync("A", "B");
        var id = group.Founding.Id;
        await _cluster.FindAsync("B", id);
        await _cluster.ProposeAsync(group, "one");
        await AsleepAsync("A", "B");
        await _cluster.CrashAsync("B");
        _cluster.Wipe("B");
        var lost = 0;
        _cluster.Network.Sent = (_, _, frame) =>
        {
            if (frame.Kind is not (GroupFrameKind.PreVote or GroupFrameKind.Vote)) return;
            Interlocked.Increment(ref lost);
            throw new IOException("it is lost");
        };
        await _cluster.StartAsync("B");

        // Each takes at least an election time.
        var enough = 3 * (int)(_cluster.Options.IdleTime / _cluster.Options.ElectionTimeMin);
        await _cluster.UntilAsync(() => Volatile.Read(ref lost) >= enough, "it goes on asking for votes");
        _cluster.Network.Sent = null;
        await _cluster.UntilAsync(() => _cluster.Host("B").Find(id)?.Status.Generation == 2 && _cluster.Machine("B", id).Entries is ["one"], "B is given all");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_group_of_three_is_founded_while_one_that_was_met_is_away(bool isWiped)
    {
        foreach (var site in new[] { "A", "B" })
        {
            var pair = await _cluster.FoundAsync(site, "C");
            await _cluster.InsistAsync(() => pair, "met");
        }

        await _cluster.CrashAsync("C");
        var group = await _cluster.FoundAwayAsync("A", "B", "C");
        var id = group.Founding.Id;
        await _cluster.InsistAsync(() => group, "one");
        if (isWiped) _cluster.Wipe("C");
        await _cluster.StartAsync("C");
        await _cluster.UntilAsync(() => _cluster.Host("C").Find(id) is { } found && _cluster.Machine("C", id).Entries is ["one"] && found.Status.Generation == (isWiped ? 2 : 1), "C is of it");
        // One that was wiped votes only when it has met all others again.
        if (!isWiped) await _cluster.CrashAsync("B");
        await _cluster.InsistAsync(() => group, "two");
        await _cluster.UntilAsync(() => _cluster.Machine("C", id).Entries is ["one", "two"], "C counts");
    }

    [Fact]
    public async Task A_group_is_not_founded_with_a_site_that_was_never_met()
    {
        await _cluster.StartAsync("A");
        await _cluster.StartAsync("B");
        var e = await Assert.ThrowsAsync<GroupException>(() => _cluster.FoundAwayAsync("A", "B", "C"));
        Assert.Equal(GroupError.NotFounded, e.Error);
        Assert.Contains("C was never met", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_witness_that_was_away_at_the_founding_and_has_lost_its_data_is_let_in()
    {
        foreach (var site in new[] { "A", "B", "W" }) await _cluster.StartAsync(site);
        await _cluster.MeetAsync("W", "A", "B");
        await _cluster.CrashAsync("W");
        var group = await _cluster.RunAsync(_cluster.Host("A").FoundAsync(["A", "B"], "W").AsTask());
        var id = group.Founding.Id;
        await _cluster.InsistAsync(() => group, "one");
        _cluster.Wipe("W");
        await _cluster.StartAsync("W");
        await _cluster.UntilAsync(() => _cluster.Host("W").Find(id)?.Status is { Generation: 2 } && _cluster.Machine("W", id).Entries is ["one"], "W is let in");
        await _cluster.CrashAsync("B");
        await _cluster.InsistAsync(() => group, "two");
        await _cluster.UntilAsync(() => _cluster.Machine("W", id).Entries is ["one", "two"], "W counts");
    }

    [Fact]
    public async Task A_site_that_only_one_of_two_has_met_is_their_witness_only_while_it_is_there()
    {
        _cluster.Network.Cut("B", "W", true);
        foreach (var site in new[] { "A", "B", "W" }) await _cluster.StartAsync(site);
        await _cluster.MeetAsync("W", "A");
        Assert.Equal("W", await _cluster.Host("A").ChooseWitnessAsync(["A", "B"], ["W"]));
        await _cluster.CrashAsync("W");
        Assert.Null(await _cluster.RunAsync(_cluster.Host("A").ChooseWitnessAsync(["A", "B"], ["W"]).AsTask()));
        var e = await Assert.ThrowsAsync<GroupException>(() => _cluster.RunAsync(_cluster.Host("A").FoundAsync(["A", "B"], "W").AsTask()));
        Assert.Equal(GroupError.NotFounded, e.Error);
    }

    [Fact]
    public async Task What_the_log_no_longer_holds_comes_as_a_snapshot()
    {
        await using var cluster = new RaftCluster(4)
        {
            Options = new GroupOptions
            {
                ElectionTimeMin = TimeSpan.FromMilliseconds(300),
                IdleTime = TimeSpan.FromSeconds(1),
                ProposeTimeMax = TimeSpan.FromSeconds(4),
                LogSizeKept = 8192,
            },
        };
        var group = await cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await cluster.FindAsync("C", id);
        await cluster.ProposeAsync(group, "first");
        await cluster.CrashAsync("C");
        for (var i = 0; i < 100; i++) await cluster.ProposeAsync(group, $"{i} {new string('x', 200)}");
        foreach (var site in new[] { "A", "B" })
        {
            await cluster.UntilAsync(() => cluster.Machine(site, id).Entries.Count == 101, $"{site} has all");
            cluster.Machine(site, id).ReplayFrom = cluster.Machine(site, id).Applied[^1].Index + 1;
            await cluster.UntilAsync(
                () =>
                {
                    _ = cluster.Host(site).ReclaimAsync();
                    return cluster.Log(site).DiskBytes < 16_000;
                },
                $"the log of {site} is reclaimed");
        }

        await cluster.StartAsync("C");
        await cluster.UntilAsync(() => cluster.Machine("C", id).Entries.Count == 101, "C has all");
        Assert.Equal(cluster.Machine("A", id).Applied, cluster.Machine("C", id).Applied);
        await cluster.InsistAsync(() => group, "more");
        await cluster.UntilAsync(() => cluster.Machine("C", id).Entries is [.., "more"], "C goes on");
    }

    [Fact]
    public async Task Messages_that_are_lost_cost_time_only()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        var there = await _cluster.FindAsync("B", id);
        await _cluster.ProposeAsync(group, "warm");
        _cluster.Network.LostPerMille = 50;
        for (var i = 0; i < 15; i++)
        {
            var entry = $"e{i}";
            await _cluster.InsistAsync(() => entry[^1] % 2 == 0 ? group : there, entry);
        }

        _cluster.Network.LostPerMille = 0;
        await _cluster.InsistAsync(() => group, "last");
        await _cluster.UntilAsync(() => _cluster.Machine("C", id).Entries.Contains("last") && _cluster.Machine("B", id).Entries.Contains("last"), "all have all");
        var entries = _cluster.Machine("A", id).Entries;
        for (var i = 0; i < 15; i++) Assert.Contains($"e{i}", entries);
        Assert.Equal(_cluster.Machine("A", id).Applied, _cluster.Machine("B", id).Applied);
        Assert.Equal(_cluster.Machine("A", id).Applied, _cluster.Machine("C", id).Applied);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_full_disk_refuses_and_recovers_by_itself(bool isAsleep)
    {
        var group = await _cluster.FoundAsync("A");
        await _cluster.ProposeAsync(group, "one");

        // Who wakes it begins a term, for which there is no room either.
        if (isAsleep) await AsleepAsync("A");
        _cluster.Log("A").Capacity = _cluster.Log("A").DiskBytes + (isAsleep ? 0 : 100);
        var e = await Assert.ThrowsAsync<GroupException>(() => _cluster.ProposeAsync(group, new string('x', 500)));
        Assert.Equal(GroupError.Full, e.Error);
        Assert.True(e.SurelyNotCommitted);
        _cluster.Log("A").Capacity = long.MaxValue;
        await _cluster.ProposeAsync(group, "two");
        Assert.Equal(["one", "two"], _cluster.Machine("A", group.Founding.Id).Entries);
    }

    [Theory]
    [InlineData("A")]
    [InlineData("B")]
    public async Task A_disk_that_becomes_full_has_room_for_what_comes_of_the_operations_that_it_took(string at)
    {
        await using var cluster = Patient();
        var group = await cluster.FoundAsync("A", "B", "C");
        await cluster.ProposeAsync(group, "one");
        await cluster.RunAsync(group.LeadAsync("A").AsTask());
        var here = await cluster.FindAsync(at, group.Founding.Id);
        cluster.Log("A").Capacity = cluster.Log("A").DiskBytes + Bounds.LogReserveSize + (2 << Bounds.LogPageSizeBits) + 20_000;
        var taken = 0;
        var refusal = await Assert.ThrowsAsync<GroupException>(async () =>
        {
            while (taken < 100) taken += await cluster.RunAsync(here.ProposeAsync(new byte[1000], drawsLead: true).AsTask()) > 0 ? 1 : 0;
        });
        Assert.Equal(GroupError.Full, refusal.Error);
        Assert.InRange(taken, 1, 20);
        for (var i = 0; i < taken; i++) await cluster.ProposeAsync(here, $"what came of {i}");
        Assert.Equal($"what came of {taken - 1}", cluster.Machine("A", group.Founding.Id).Entries[^1]);
        cluster.Log("A").Capacity = long.MaxValue;
        await cluster.RunAsync(here.ProposeAsync("new"u8.ToArray(), drawsLead: true).AsTask());
    }

    [Fact]
    public async Task A_leader_whose_disk_is_full_says_so_to_who_asks_it()
    {
        await using var cluster = Patient();
        var group = await cluster.FoundAsync("A", "B", "C");
        var there = await cluster.FindAsync("B", group.Founding.Id);
        await cluster.RunAsync(group.LeadAsync("A").AsTask());
        await cluster.ProposeAsync(there, "one");
        cluster.Log("A").Capacity = cluster.Log("A").DiskBytes + 100;
        var e = await Assert.ThrowsAsync<GroupException>(() => cluster.ProposeAsync(there, new string('x', 500)));
        Assert.Equal(GroupError.Full, e.Error);
        cluster.Log("A").Capacity = long.MaxValue;
        await cluster.InsistAsync(() => there, "two");
        await cluster.UntilAsync(() => cluster.Machine("C", group.Founding.Id).Entries is ["one", "two"], "C has both");
    }

    [Fact]
    public async Task Nonsense_from_a_peer_changes_nothing()
    {
        var group = await _cluster.FoundAsync("A", "B");
        await _cluster.ProposeAsync(group, "one");
        var chance = new Random(5);
        for (var i = 0; i < 2000; i++)
        {
            var message = new byte[chance.Next(300)];
            chance.NextBytes(message);
            if (message.Length > 1) (message[0], message[1]) = (1, (byte)chance.Next(20));
            _cluster.Network.Inject("B", "A", message);
        }

        await _cluster.ProposeAsync(group, "two");
        Assert.Equal(["one", "two"], _cluster.Machine("A", group.Founding.Id).Entries);
    }

    private Task AsleepAsync(params string[] sites) =>
        _cluster.UntilAsync(() => sites.All(s => _cluster.Host(s).AwakeCount == 0), "all are asleep");
}
