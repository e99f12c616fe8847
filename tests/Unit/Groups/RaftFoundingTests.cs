using Cheops.Raft;
using Cheops.Raft.Protocol;

namespace Cheops.Tests.Unit.Groups;

/// <summary>Foundings that were begun and did not come to their end before a member lost its data.</summary>
public sealed class RaftFoundingTests : IAsyncLifetime
{
    private readonly RaftCluster _cluster = new(5);

    public async Task InitializeAsync()
    {
        foreach (var site in new[] { "A", "B", "W", "X" }) await _cluster.StartAsync(site);
    }

    public async Task DisposeAsync() => await _cluster.DisposeAsync();

    [Theory]
    [InlineData("A", "B", "A")]
    [InlineData("A", "B", "B")]
    [InlineData("B", "A", "A")]
    [InlineData("B", "A", "B")]
    [InlineData("A", "W", "A")]
    [InlineData("A", "W", "B")]
    public async Task What_was_begun_with_data_that_are_no_more_is_begun_again(string founder, string wiped, string next)
    {
        // The other one has no room to accept it, or is not reached just then.
        _cluster.Network.Sent = (_, to, frame) => ThrowIf(frame.Kind == GroupFrameKind.Found && to != founder);
        Assert.Equal(GroupError.NotFounded, (await Assert.ThrowsAsync<GroupException>(() => FoundAsync(founder, "W"))).Error);
        _cluster.Network.Sent = null;
        await _cluster.CrashAsync(wiped);
        _cluster.Wipe(wiped);
        await _cluster.StartAsync(wiped);

        var group = await InsistOnFoundingAsync(next, "W");
        await _cluster.InsistAsync(() => group, "one");
        foreach (var site in new[] { "A", "B" })
            await _cluster.UntilAsync(() => _cluster.Host(site).Find(group.Founding.Id) is not null && _cluster.Machine(site, group.Founding.Id).Entries is ["one"], $"{site} has it");
    }

    [Fact]
    public async Task What_a_site_has_committed_with_the_witness_is_not_founded_away_when_it_has_lost_its_data()
    {
        // A accepts what B has begun, and B is never told.
        _cluster.Network.Sent = (from, to, frame) => ThrowIf(frame.Kind == GroupFrameKind.Reply && (from, to) == ("A", "B"));
        var founding = FoundAsync("B", "W");
        await _cluster.UntilAsync(() => _cluster.Host("A").Groups.Any(), "A accepts");
        _cluster.Network.Cut("A", "B", true);
        Assert.Equal(GroupError.NotFounded, (await Assert.ThrowsAsync<GroupException>(() => founding)).Error);
        _cluster.Network.Sent = null;
        var there = _cluster.Host("A").Groups.Single();
        _cluster.Network.Cut("B", "W", true);
        await _cluster.InsistAsync(() => there, "one");
        await _cluster.CrashAsync("A");
        _cluster.Wipe("A");
        _cluster.Network.CutOff("W", true);
        _cluster.Network.Cut("A", "B", false);
        await _cluster.StartAsync("A");

        // Neither knows that it is open at W; B knows only that it may be.
        foreach (var site in new[] { "A", "B" })
        {
            var e = await Assert.ThrowsAsync<GroupException>(() => FoundAsync(site, "X"));
            Assert.Equal(GroupError.NotFounded, e.Error);
        }

        _cluster.Network.CutOff("W", false);
        var group = await InsistOnFoundingAsync("B", "X");
        Assert.Equal("W", group.Founding.Witness);
        await _cluster.InsistAsync(() => group, "two");
        foreach (var site in new[] { "A", "B" })
            await _cluster.UntilAsync(() => _cluster.Machine(site, group.Founding.Id).Entries is ["one", "two"], $"{site} has both");
    }

    private static void ThrowIf(bool isLost)
    {
        if (isLost) throw new IOException("it is lost");
    }

    private Task<IReplicaGroup> FoundAsync(string site, string witness) => _cluster.RunAsync(_cluster.Host(site).FoundAsync(["A", "B"], witness).AsTask());

    private async Task<IReplicaGroup> InsistOnFoundingAsync(string site, string witness)
    {
        IReplicaGroup? group = null;
        await _cluster.UntilAsync(
            () =>
            {
                if (group is null && _founding is null) _founding = FoundAsync(site, witness);
                if (_founding is { IsCompleted: true } done) (_founding, group) = (null, done.IsCompletedSuccessfully ? done.Result : null);
                return group is not null;
            },
            "the group is founded");
        return group!;
    }

    private Task<IReplicaGroup>? _founding;
}
