using System.Globalization;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>A site that has lost its log, records of it, or its whole disk: it says so, is let in again and does nothing twice.</summary>
public sealed class LostDataTests
{
    private const int Before = 12;
    private const int Meanwhile = 8;
    private const int LargeValueSize = 200_000;

    [Theory]
    [InlineData("bit")]
    [InlineData("log")]
    [InlineData("disk")]
    public async Task ASiteThatLostItsDataIsLetInAgainAndDoesNothingTwice(string lost)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var ids = await CreateAsync(sites, "before", Before);
        await sites.QuietAsync();
        var incarnation = IncarnationOf(sites.Mesh[3]);
        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site3", "down"), sites.Mesh[2].SeesAsync("Site3", "down"));
        var made = sites.Of(3).Made;
        foreach (var (key, id) in await CreateAsync(sites, "meanwhile", Meanwhile)) ids[key] = id;
        foreach (var key in ids.Keys.Take(4)) Assert.Equal(200, (await sites.PutAsync(2, ids[key], key, "changed")).Status);

        Lose(DataOf(sites.Mesh[3]), lost);
        await sites.Mesh[3].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        Assert.NotEqual(incarnation, IncarnationOf(sites.Mesh[3]));
        if (lost != "disk") Assert.Contains("this site has a new incarnation", sites.Mesh[3].Log, StringComparison.Ordinal);
        await LetInAsync(sites);
        foreach (var (key, id) in ids) await sites.AssertReplicatedAsync(key, id, 1, 2, 3);
        Assert.Equal(made + Meanwhile, sites.Of(3).Made);

        // It counts again: with it, another one may be gone.
        await sites.Mesh[1].KillAsync();
        await Task.WhenAll(sites.Mesh[2].SeesAsync("Site1", "down"), sites.Mesh[3].SeesAsync("Site1", "down"));
        var added = await sites.CreatedAsync(3, "after");
        Assert.Equal(200, (await sites.PutAsync(3, added, "after", "changed")).Status);
        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("after", added, 1, 2, 3);
    }

    // What only it and one more had acknowledged is not outvoted by the one that had not, when its disk is gone.
    [Fact]
    public async Task ASiteWhoseDiskWasWipedDoesNotVoteAwayWhatItHadAcknowledged()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "kept");
        await sites.QuietAsync();
        await sites.Mesh[2].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site2", "down"), sites.Mesh[3].SeesAsync("Site2", "down"));
        for (var number = 1; number <= 5; number++) Assert.Equal(200, (await sites.PutAsync(1, metaId, "kept", number.ToString(CultureInfo.InvariantCulture))).Status);
        await sites.Mesh[1].KillAsync();
        await sites.Mesh[3].KillAsync();
        Lose(DataOf(sites.Mesh[3]), "disk");
        await Task.WhenAll(sites.Mesh[2].StartAsync(), sites.Mesh[3].StartAsync());
        await Task.WhenAll(sites.Mesh[2].SeesAsync("Site3", "up"), sites.Mesh[3].SeesAsync("Site2", "up"));

        // The two are a majority by number, and must not be one.
        var refused = await sites.PutAsync(2, metaId, "kept", "too early");
        Assert.True(refused.Status is 503 or 504, $"{refused.Status}: {refused.Body}\n{sites.Mesh.Logs()}");
        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await LetInAsync(sites);
        await sites.QuietAsync();
        Assert.Equal(200, (await sites.PutAsync(2, metaId, "kept", "last")).Status);
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("kept", metaId, 1, 2);
        Assert.Equal("last", sites.ThingAt(3, "kept").Value);
        Assert.Subset(new HashSet<string>(sites.Of(2).ValuesOf("kept")), new HashSet<string>(["1", "2", "3", "4", "5", "last"]));
    }

    // What one site has committed with the witness is not gone with its disk: the witness has it, and gives it to the other.
    [Fact]
    public async Task WhatOneOfTwoSitesHadAcknowledgedIsAtTheOtherWhenItsDiskIsGone()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "kept");
        await sites.QuietAsync();
        await sites.Mesh[2].KillAsync();
        await sites.Mesh[1].SeesAsync("Site2", "down");
        var ids = new Dictionary<string, string> { ["kept"] = metaId };
        for (var number = 1; number <= 5; number++) Assert.Equal(200, (await sites.PutAsync(1, metaId, "kept", number.ToString(CultureInfo.InvariantCulture))).Status);
        for (var number = 0; number < Meanwhile; number++) ids[$"meanwhile-{number}"] = await sites.CreatedAsync(1, $"meanwhile-{number}");
        await sites.Mesh[1].KillAsync();
        Lose(DataOf(sites.Mesh[1]), "disk");
        await sites.Mesh[2].StartAsync();
        await Task.WhenAll(sites.Mesh[2].SeesAsync("Site3", "up"), sites.Mesh[3].SeesAsync("Site2", "up"));
        await Wait.UntilAsync("changes are taken without Site1", async () => (await sites.PutAsync(2, metaId, "kept", "last")).Status == 200, more: sites.Mesh.Logs);
        await Wait.UntilAsync(
            "Site2 has carried out all of it",
            async () => (await sites.OperationsAsync(2)).All(one => one.GetProperty("sites").GetProperty("Site2").GetProperty("step").GetString() != "pending"),
            more: sites.Mesh.Logs);
        foreach (var (key, id) in ids) await sites.AssertReplicatedAsync(key, id, 2);
        Assert.Equal(["0", "1", "2", "3", "4", "5", "last"], sites.Of(2).ValuesOf("kept"));

        // Site1 is let in again, and does again nothing that its service has.
        var made = sites.Of(1).Made;
        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await LetInAsync(sites);
        await sites.QuietAsync();
        foreach (var (key, id) in ids) await sites.AssertReplicatedAsync(key, id, 1, 2);
        Assert.Equal(made, sites.Of(1).Made);
    }

    // So much has come in before that the logs no longer hold what the site has lost: it is given a snapshot.
    [Fact]
    public async Task ASiteWhoseDiskIsGoneIsGivenWhatTheLogsNoLongerHold()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var ids = await CreateAsync(sites, "before", Before);
        var number = 0;
        await Wait.UntilAsync(
            "the beginning of the log is given back at both",
            async () =>
            {
                var value = $"{++number} {new string('v', LargeValueSize)}";
                Assert.Equal(200, (await sites.PutAsync(1 + (number % 2), ids["before-0"], "before-0", value)).Status);
                return new[] { 1, 2 }.All(site => !File.Exists(Path.Combine(DataOf(sites.Mesh[site]), "log", "log.0")));
            },
            TimeSpan.FromMinutes(3),
            () => string.Join(' ', Directory.GetFiles(Path.Combine(DataOf(sites.Mesh[1]), "log"))));

        await sites.QuietAsync();
        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site3", "down"), sites.Mesh[2].SeesAsync("Site3", "down"));
        Lose(DataOf(sites.Mesh[3]), "disk");
        var made = sites.Of(3).Made;
        for (var meanwhile = 0; meanwhile < Meanwhile; meanwhile++) ids[$"meanwhile-{meanwhile}"] = await sites.CreatedAsync(1, $"meanwhile-{meanwhile}");
        await sites.Mesh[3].StartAsync();
        await sites.Mesh.LinkedAsync();
        await LetInAsync(sites);
        await sites.QuietAsync();
        foreach (var (key, id) in ids.Skip(1)) await sites.AssertReplicatedAsync(key, id, 1, 2, 3);
        Assert.Equal(sites.ThingAt(1, "before-0").Value, sites.ThingAt(3, "before-0").Value);
        Assert.Equal(made + Meanwhile, sites.Of(3).Made);

        // It goes on from there as the others do.
        Assert.Equal(200, (await sites.PutAsync(3, ids["before-1"], "before-1", "after")).Status);
        var added = await sites.CreatedAsync(3, "after");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("before-1", ids["before-1"], 1, 2, 3);
        await sites.AssertReplicatedAsync("after", added, 1, 2, 3);
    }

    private static async Task<Dictionary<string, string>> CreateAsync(NumbersSites sites, string name, int count)
    {
        var ids = new Dictionary<string, string>();
        for (var number = 0; number < count; number++) ids[$"{name}-{number}"] = await sites.CreatedAsync(1 + (number % 2), $"{name}-{number}");
        return ids;
    }

    private static string DataOf(Site site) => site.Environment()["CHEOPS_DATA"];

    private static string IncarnationOf(Site site) => File.ReadAllText(Path.Combine(DataOf(site), "incarnation"));

    private static void Lose(string data, string lost)
    {
        if (lost == "disk") Directory.Delete(data, recursive: true);
        else if (lost == "log") Directory.Delete(Path.Combine(data, "log"), recursive: true);
        else FlipBit(Path.Combine(data, "log"));
    }

    // In the middle of what is written, so that acknowledged records come after it.
    private static void FlipBit(string log)
    {
        var segment = Directory.GetFiles(log).OrderByDescending(file => new FileInfo(file).Length).ThenBy(file => file, StringComparer.Ordinal).First();
        var bytes = File.ReadAllBytes(segment);
        var end = Array.FindLastIndex(bytes, one => one != 0);
        Assert.True(end > 4096, $"{segment} holds {end} bytes");
        bytes[end / 2] ^= 8;
        File.WriteAllBytes(segment, bytes);
    }

    private static Task LetInAsync(NumbersSites sites) => Wait.UntilAsync(
        "every site knows the group's new generation",
        async () => (await Task.WhenAll(sites.Mesh.Sites.Select(GenerationAtAsync))) is var all && all.All(one => one >= 2 && one == all[0]),
        Wait.Long,
        sites.Mesh.Logs);

    private static async Task<int> GenerationAtAsync(Site site)
    {
        var groups = (await Client.GetAsync(new Uri(site.ApiUrl), "/_cheops/v1/groups")).Json.GetProperty("groups");
        return groups.GetArrayLength() == 0 ? 0 : groups[0].GetProperty("generation").GetInt32();
    }
}
