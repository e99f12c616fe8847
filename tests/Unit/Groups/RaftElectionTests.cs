using System.Collections.Concurrent;
using Cheops.Raft;
using Cheops.Raft.Consensus;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>When the real host elects a leader, and when it does not.</summary>
public sealed class RaftElectionTests : IAsyncLifetime
{
    // A busy machine deposes no leader, and no group falls asleep meanwhile: who wakes one begins a term.
    private readonly RaftCluster _cluster = new(5)
    {
        Options = new GroupOptions { ElectionTimeMin = TimeSpan.FromSeconds(3), IdleTime = TimeSpan.FromMinutes(2), ProposeTimeMax = TimeSpan.FromSeconds(8) },
    };

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Fact]
    public async Task A_site_that_comes_back_disturbs_neither_leader_nor_term_however_often_it_has_campaigned()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await _cluster.ProposeAsync(group, "one");
        await _cluster.RunAsync(group.LeadAsync("A").AsTask());
        await _cluster.FindAsync("C", id);
        await _cluster.UntilAsync(() => _cluster.Machine("C", id).Entries is ["one"] && _cluster.Host("C").Find(id)!.Status.Leader == "A", "C follows A");
        var term = group.Status.Term;

        _cluster.CutOff("C", true);
        var lonely = _cluster.Host("C").Find(id)!;
        // As long as it takes until it gives up, it tries to be elected.
        await Assert.ThrowsAsync<GroupException>(() => _cluster.ProposeAsync(lonely, "never"));
        Assert.NotEqual("A", lonely.Status.Leader);
        Assert.Equal(term, lonely.Status.Term);
        await _cluster.ProposeAsync(group, "two");

        _cluster.CutOff("C", false);
        await _cluster.UntilAsync(() => _cluster.Machine("C", id).Entries is ["one", "two"], "C catches up");
        await _cluster.ProposeAsync(group, "three");
        await _cluster.UntilAsync(() => _cluster.Machine("C", id).Entries is ["one", "two", "three"], "C follows again");
        Assert.Equal(("A", term), (group.Status.Leader, group.Status.Term));
        Assert.Equal(("A", term), (lonely.Status.Leader, lonely.Status.Term));
    }

    [Fact]
    public async Task Of_two_that_ask_each_other_for_their_votes_at_once_one_stands()
    {
        var group = await _cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await _cluster.ProposeAsync(group, "one");
        await _cluster.RunAsync(group.LeadAsync("A").AsTask());
        await _cluster.FindAsync("C", id);
        await _cluster.UntilAsync(() => new[] { "B", "C" }.All(site => _cluster.Host(site).Find(id)?.Status.Leader == "A"), "both follow A");

        // C knows first that A is gone; B learns it in the moment in which C asks for its vote.
        var sent = new ConcurrentQueue<(string From, GroupFrameKind Kind)>();
        _cluster.Network.Sent = (from, to, frame) =>
        {
            sent.Enqueue((from, frame.Kind));
            if ((from, frame.Kind) == ("C", GroupFrameKind.Grant)) _cluster.Network.Leave("A");
        };
        _cluster.Network.Cut("A", "C", true);
        await _cluster.UntilAsync(() => new[] { "B", "C" }.Any(site => _cluster.Host(site).Find(id)!.Status.Leader is "B" or "C"), "another one leads");
        _cluster.Network.Sent = null;

        var before = sent.TakeWhile(message => message.Kind is not (GroupFrameKind.PreVote or GroupFrameKind.Vote)).ToArray();
        Assert.All(new[] { "B", "C" }, site => Assert.True(before.Count(message => message == (site, GroupFrameKind.Grant)) <= 1, $"{site} asked again before anybody stood: {string.Join(", ", before)}"));
    }

    [Fact]
    public async Task Elections_take_their_time_from_the_slowest_link_of_the_group()
    {
        var near = await _cluster.FoundAsync("A", "B");
        var far = await _cluster.FoundAsync("A", "B", "C");
        Assert.Equal((3000.0, 3000.0), (TimeOf(near), TimeOf(far)));
        _cluster.Network.RoundTrips["B"] = TimeSpan.FromMilliseconds(20);
        Assert.Equal((3000.0, 3000.0), (TimeOf(near), TimeOf(far)));
        _cluster.Network.RoundTrips["C"] = TimeSpan.FromMilliseconds(450);
        Assert.Equal((3000.0, 4500.0), (TimeOf(near), TimeOf(far)));
        _cluster.Network.RoundTrips["B"] = TimeSpan.FromMilliseconds(600);
        Assert.Equal((6000.0, 6000.0), (TimeOf(near), TimeOf(far)));

        // In milliseconds: a member may take as long to answer as a leader may be silent, and half of it to vote.
        static double TimeOf(IReplicaGroup group)
        {
            var context = (IMemberContext)group;
            Assert.Equal(context.AppendTimeout, 2 * context.VoteTimeout);
            return context.AppendTimeout.TotalMilliseconds;
        }
    }
}
