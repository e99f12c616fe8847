using System.Collections.Concurrent;
using System.Globalization;
using Xunit.Abstractions;

namespace Cheops.Tests.System.Replication;

/// <summary>
/// Creates and updates from three sites at once while agents are killed at random: in the end everything acknowledged is at
/// every site, exactly once, in the same order. CHEOPS_TEST_OPERATIONS makes it longer, CHEOPS_TEST_SEED repeats a run's choices.
/// </summary>
public sealed class RandomKillTests(ITestOutputHelper output)
{
    private static readonly int Operations = Number("CHEOPS_TEST_OPERATIONS", 1000);

    [Fact]
    public async Task NothingAcknowledgedIsLostOrDoubledWhenAgentsAreKilled()
    {
        var seed = Number("CHEOPS_TEST_SEED", Environment.TickCount);
        output.WriteLine($"CHEOPS_TEST_SEED={seed}");
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var written = new Written();
        using var done = new CancellationTokenSource();
        var killing = KillAsync(sites, new Random(seed), done.Token);
        await Task.WhenAll(Enumerable.Range(1, 3).Select(site => WriteAsync(sites, site, new Random(seed + site), written)));
        await done.CancelAsync();
        var kills = await killing;
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        output.WriteLine($"{kills} kills, {written.Created.Count} creates acknowledged, {written.Updated.Count} updates acknowledged, {written.Unknown.Count} creates unknown, {written.Refused.Count} refused");

        Assert.NotEmpty(written.Created);
        Assert.True(kills > 0);
        foreach (var (key, metaId) in written.Created) await sites.AssertReplicatedAsync(key, metaId, 1, 2, 3);
        foreach (var (key, value) in written.Updated) Assert.Contains(value, sites.Of(1).ValuesOf(key));
        foreach (var key in written.Refused) sites.AssertNowhere(key);

        // What nobody was told of is everywhere or nowhere, and never twice.
        foreach (var key in written.Unknown)
        {
            if (Enumerable.Range(1, 3).Any(site => sites.Of(site).Things.Any(thing => thing.Key == key))) await sites.AssertReplicatedAsync(key, null, 1, 2, 3);
        }
    }

    // Kills one site after the other, sometimes two at once, and lets each come back.
    private static async Task<int> KillAsync(NumbersSites sites, Random random, CancellationToken done)
    {
        var kills = 0;
        while (!done.IsCancellationRequested)
        {
            var count = random.Next(4) == 0 ? 2 : 1;
            var chosen = Enumerable.Range(1, 3).OrderBy(_ => random.Next()).Take(count).Select(site => sites.Mesh[site]).ToArray();
            var (before, after) = (random.Next(200, 2500), random.Next(0, 3000));
            try
            {
                await Task.Delay(before, done);
            }
            catch (OperationCanceledException)
            {
                return kills;
            }

            foreach (var site in chosen) await site.KillAsync();
            kills += count;
            await Task.Delay(after, CancellationToken.None);
            await Task.WhenAll(chosen.Select(site => site.StartAsync()));
        }

        return kills;
    }

    private static async Task WriteAsync(NumbersSites sites, int site, Random random, Written written)
    {
        for (var i = 0; i < Operations / 3; i++)
        {
            try
            {
                if (written.Created.IsEmpty || random.Next(2) == 0) await CreateAsync(sites, site, $"{site}-{i}", written);
                else await UpdateAsync(sites, site, $"{site}-{i}", random, written);
            }
            catch (HttpRequestException)
            {
                // The agent is down, or went down: what was asked of it may have been done. Another comes when it is back.
                await Task.Delay(random.Next(50, 300));
            }
        }
    }

    private static async Task CreateAsync(NumbersSites sites, int site, string key, Written written)
    {
        written.Unknown.Add(key);
        var answer = await sites.CreateAsync(site, key);
        if (answer.Status is 200 or 201) written.Created[key] = NumbersSites.MetaIdOf(answer);
        else if (answer.Json.GetProperty("retrySafe").GetBoolean()) written.Refused.Add(key);
    }

    // With a scope, the sites of the replicant are named once more; without, the site must know the replicant by itself.
    private static async Task UpdateAsync(NumbersSites sites, int site, string value, Random random, Written written)
    {
        var (key, metaId) = written.Created.ElementAt(random.Next(written.Created.Count));
        var answer = await sites.PutAsync(site, metaId, key, value, random.Next(2) == 0 ? sites.Scope : null);
        if (answer.Status == 200) written.Updated.Add((key, value));
    }

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : otherwise;

    private sealed class Written
    {
        /// <summary>Meta-ids of what was acknowledged, by key.</summary>
        public ConcurrentDictionary<string, string> Created { get; } = new();

        /// <summary>Values whose update was acknowledged.</summary>
        public ConcurrentBag<(string Key, string Value)> Updated { get; } = [];

        /// <summary>Keys of creates that were begun.</summary>
        public ConcurrentBag<string> Unknown { get; } = [];

        /// <summary>Keys of creates that surely were not executed.</summary>
        public ConcurrentBag<string> Refused { get; } = [];
    }
}
