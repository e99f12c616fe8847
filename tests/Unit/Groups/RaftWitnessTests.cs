using Cheops.Raft;

namespace Cheops.Tests.Unit.Groups;

/// <summary>A witness that has what a site lacks, and leads until the site has it too.</summary>
public sealed class RaftWitnessTests
{
    [Fact]
    public async Task A_witness_gives_no_snapshot_since_its_machine_holds_only_a_part()
    {
        await using var cluster = new RaftCluster(6)
        {
            Options = new GroupOptions
            {
                ElectionTimeMin = TimeSpan.FromMilliseconds(300),
                IdleTime = TimeSpan.FromSeconds(1),
                ProposeTimeMax = TimeSpan.FromSeconds(4),
                LogSizeKept = 8192,
            },
        };
        foreach (var site in new[] { "A", "B", "W" }) await cluster.StartAsync(site);
        var group = await cluster.RunAsync(cluster.Host("A").FoundAsync(["A", "B"], "W").AsTask());
        var id = group.Founding.Id;
        await cluster.ProposeAsync(group, "first");
        await cluster.UntilAsync(() => cluster.Machine("B", id).Entries is ["first"], "B has the first");
        await cluster.CrashAsync("B");
        for (var i = 0; i < 100; i++) await cluster.InsistAsync(() => group, $"{i} {new string('x', 200)}");
        foreach (var site in new[] { "A", "W" })
        {
            await cluster.UntilAsync(() => cluster.Machine(site, id).Entries.Count >= 101, $"{site} has all");
            cluster.Machine(site, id).ReplayFrom = cluster.Machine(site, id).Applied[^1].Index + 1;
            await cluster.UntilAsync(
                () =>
                {
                    _ = cluster.Host(site).ReclaimAsync();
                    return cluster.Log(site).DiskBytes < 16_000;
                },
                $"the log of {site} is reclaimed");
        }

        foreach (var other in new[] { "B", "W" }) cluster.Network.Cut("A", other, true);
        await cluster.StartAsync("B");
        await Assert.ThrowsAsync<GroupException>(() => cluster.ProposeAsync(cluster.Host("B").Find(id)!, "too early"));
        // Nor does it go on leading where it can give nothing, which kept a processor busy: it gives up, and may stand again.
        var term = cluster.Host("W").Find(id)!.Status.Term;
        await cluster.UntilAsync(() => cluster.Host("W").Find(id)!.Status.Term > term + 1, "the witness gives the lead up");
        Assert.True(cluster.Machine("B", id).Entries is [] or ["first"], "B took over what the witness's machine holds");

        foreach (var other in new[] { "B", "W" }) cluster.Network.Cut("A", other, false);
        await cluster.InsistAsync(() => cluster.Host("A").Find(id)!, "last");
        foreach (var site in new[] { "A", "B" }) await cluster.UntilAsync(() => cluster.Machine(site, id).Entries is [.., "last"], $"{site} goes on");
        Assert.Equal(cluster.Machine("A", id).Applied, cluster.Machine("B", id).Applied);
    }
}
