using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>What every host of groups promises when a site has lost its data, or never comes back.</summary>
public abstract partial class GroupContract
{
    [Fact]
    public async Task A_wiped_site_is_let_in_by_the_others_and_caught_up()
    {
        var group = await Cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await Cluster.FindAsync("C", id);
        for (var i = 0; i < 5; i++) await Cluster.ProposeAsync(group, $"e{i}");
        await Cluster.CrashAsync("C");
        Cluster.Wipe("C");
        await Cluster.StartAsync("C");
        await Cluster.UntilAsync(() => Cluster.Host("C").Find(id)?.Status is { Generation: >= 2, AppliedIndex: > 5 }, "C is let in");
        Assert.Equal(["e0", "e1", "e2", "e3", "e4"], Cluster.Machine("C", id).Entries);
        Assert.True(Cluster.Machine("C", id).ForgottenUntil > Cluster.Machine("C", id).Applied[^1].Index, "C was not told what it has forgotten");

        // It counts again.
        await Cluster.CrashAsync("B");
        await Cluster.InsistAsync(() => group, "with C");
        await Cluster.UntilAsync(() => Cluster.Machine("C", id).Entries.Contains("with C"), "C has it");
    }

    [Fact]
    public async Task A_wiped_site_does_not_vote_before_it_is_let_in()
    {
        var group = await Cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await Cluster.FindAsync("C", id);
        await Cluster.ProposeAsync(group, "one");
        await Cluster.CrashAsync("B");
        await Cluster.CrashAsync("C");
        Cluster.Wipe("C");
        await Cluster.StartAsync("C");
        // Only A has what was committed: A and the wiped C are no majority, and neither founds the set anew.
        await Assert.ThrowsAsync<GroupException>(() => Cluster.ProposeAsync(group, "two"));
        await Assert.ThrowsAsync<GroupException>(() => Cluster.RunAsync(Cluster.Host("C").FoundAsync(["A", "B", "C"], null).AsTask()));
        await Cluster.StartAsync("B");
        await Cluster.InsistAsync(() => group, "three");
        await Cluster.UntilAsync(() => Cluster.Host("C").Find(id)?.Status.Generation >= 2 && Cluster.Machine("C", id).Entries.Contains("three"), "C is let in");
        Assert.Equal("one", Cluster.Machine("C", id).Entries[0]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_one_site_has_committed_with_the_witness_is_not_lost_with_it(bool isWiped)
    {
        foreach (var site in new[] { "A", "B", "W" }) await Cluster.StartAsync(site);
        var group = await Cluster.RunAsync(Cluster.Host("A").FoundAsync(["A", "B"], "W").AsTask());
        var id = group.Founding.Id;
        await Cluster.ProposeAsync(group, "both");
        await AssertAlikeAsync(group, 1, "A", "B");
        Cluster.CutOff("B", true);
        await Cluster.InsistAsync(() => group, "with W");
        await Cluster.CrashAsync("A");
        if (isWiped) Cluster.Wipe("A");
        Cluster.CutOff("B", false);
        await Cluster.InsistAsync(() => Cluster.Host("B").Find(id)!, "after");
        Assert.Equal(["both", "with W", "after"], Cluster.Machine("B", id).Entries);

        // The witness leads no longer than it has to.
        await Cluster.UntilAsync(() => Cluster.Host("B").Find(id)!.Status.Leader is null or "B", "B leads");
        await Cluster.StartAsync("A");
        Cluster.CutOff("B", false);
        await Cluster.UntilAsync(() => Cluster.Host("A").Find(id) is not null && Cluster.Machine("A", id).Entries is ["both", "with W", "after"], "A has all");
    }

    [Fact]
    public async Task Of_two_sites_without_a_witness_the_one_that_is_left_lets_the_other_in()
    {
        var group = await Cluster.FoundAsync("A", "B");
        var id = group.Founding.Id;
        await Cluster.FindAsync("B", id);
        await Cluster.ProposeAsync(group, "one");
        await Cluster.CrashAsync("B");
        Cluster.Wipe("B");
        await Cluster.StartAsync("B");
        await Cluster.InsistAsync(() => group, "two");
        await Cluster.UntilAsync(() => Cluster.Host("B").Find(id)?.Status.Generation >= 2 && Cluster.Machine("B", id).Entries is ["one", "two"], "B is let in");
    }

    [Fact]
    public async Task A_site_that_is_removed_counts_no_longer()
    {
        var group = await Cluster.FoundAsync("A", "B", "C");
        var id = group.Founding.Id;
        await Cluster.FindAsync("B", id);
        await Cluster.ProposeAsync(group, "one");
        await Cluster.CrashAsync("C");
        Assert.True(Assert.Single(await Cluster.RunAsync(Cluster.Host("B").RemoveSiteAsync("C").AsTask())).IsDone);
        Assert.True(Cluster.Host("B").Find(id)!.Status.Removed is ["C"]);
        await Cluster.UntilAsync(() => group.Status.Generation == 2, "A knows");
        await Cluster.InsistAsync(() => group, "two");

        await Cluster.StartAsync("C");
        await Cluster.UntilAsync(() => Cluster.Host("C").Find(id)!.Status.Removed is ["C"], "C knows");
        var e = await Assert.ThrowsAsync<GroupException>(() => Cluster.ProposeAsync(Cluster.Host("C").Find(id)!, "never"));
        Assert.Contains("removed", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_site_is_not_removed_without_a_majority()
    {
        var group = await Cluster.FoundAsync("A", "B", "C");
        await Cluster.ProposeAsync(group, "one");
        await Cluster.CrashAsync("B");
        await Cluster.CrashAsync("C");
        var removal = Assert.Single(await Cluster.RunAsync(Cluster.Host("A").RemoveSiteAsync("C").AsTask()));
        Assert.Equal("A & B & C", string.Join(" & ", removal.Sites));
        Assert.Contains("no majority", removal.Reason, StringComparison.Ordinal);
        Assert.Empty(group.Status.Removed);
    }

    [Fact]
    public async Task The_last_of_two_sites_removes_the_other_and_goes_on_alone()
    {
        var group = await Cluster.FoundAsync("A", "B");
        await Cluster.ProposeAsync(group, "one");
        await Cluster.CrashAsync("B");
        Assert.True(Assert.Single(await Cluster.RunAsync(Cluster.Host("A").RemoveSiteAsync("B").AsTask())).IsDone);
        await Cluster.ProposeAsync(group, "two");
        Assert.Equal(["one", "two"], Cluster.Machine("A", group.Founding.Id).Entries);
    }
}
