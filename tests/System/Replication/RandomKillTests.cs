using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Cheops.Tests.System.Harness;
using Xunit.Abstractions;

namespace Cheops.Tests.System.Replication;

/// <summary>
/// Creates and updates from three sites at once while agents are killed at random, until enough of both has come about: in the end
/// everything acknowledged is at every site, exactly once, in the same order. CHEOPS_TEST_OPERATIONS and CHEOPS_TEST_KILLS make it
/// longer, CHEOPS_TEST_SEED repeats a run's choices.
/// </summary>
public sealed class RandomKillTests(ITestOutputHelper output)
{
    private const int WritersPerSite = 2;
    private static readonly int Operations = Number("CHEOPS_TEST_OPERATIONS", 1000);
    private static readonly int Kills = Number("CHEOPS_TEST_KILLS", 10);

    // It takes half a minute; so much longer, something stands still.
    private static readonly TimeSpan Most = TimeSpan.FromMinutes(5) * Math.Max(1, Operations / 1000);

    [Fact]
    public async Task NothingAcknowledgedIsLostOrDoubledWhenAgentsAreKilled()
    {
        var seed = Number("CHEOPS_TEST_SEED", Environment.TickCount);
        output.WriteLine($"CHEOPS_TEST_SEED={seed}");
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var written = new Written();
        using var done = new CancellationTokenSource();
        Task[] writing = [.. Enumerable.Range(0, 3 * WritersPerSite).Select(writer => WriteAsync(sites, 1 + (writer % 3), writer, new Random(seed + writer + 1), written, done.Token))];
        try
        {
            await KillAsync(sites, new Random(seed), written);
        }
        finally
        {
            await done.CancelAsync();
            await Task.WhenAll(writing);
        }

        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        output.WriteLine(written.ToString());
        await AssertWrittenAsync(sites, written);
    }

    private static async Task AssertWrittenAsync(NumbersSites sites, Written written)
    {
        Assert.True(written.Acknowledged >= Operations && written.Kills >= Kills, written.ToString());
        await Parallel.ForEachAsync(written.Created, async (created, _) => await sites.AssertReplicatedAsync(created.Key, created.Value, 1, 2, 3));
        foreach (var (key, value) in written.Updated) Assert.Contains(value, sites.Of(1).ValuesOf(key));
        foreach (var key in written.Refused) sites.AssertNowhere(key);

        // What nobody was told of is everywhere or nowhere, and never twice.
        foreach (var key in written.Begun)
        {
            if (Enumerable.Range(1, 3).Any(site => sites.Of(site).Things.Any(thing => thing.Key == key))) await sites.AssertReplicatedAsync(key, null, 1, 2, 3);
        }

        // Each value was given once; again only, and at once, what the agent may have sent just before it was killed.
        for (var site = 1; site <= 3; site++)
        {
            Assert.Empty(sites.Of(site).GivenTwice());
            foreach (var key in written.Begun) Assert.Distinct(sites.Of(site).ValuesOf(key));
        }
    }

    // Kills one site after the other, sometimes two at once, in the middle of what is written, and lets each come back.
    private static async Task KillAsync(NumbersSites sites, Random random, Written written)
    {
        var started = Stopwatch.GetTimestamp();
        while (written.Kills < Kills || written.Acknowledged < Operations)
        {
            var next = written.Acknowledged + random.Next(20, 150);
            await Wait.UntilAsync("more is acknowledged", () => written.Acknowledged >= next, Most - Stopwatch.GetElapsedTime(started), () => $"{written}\n{sites.Mesh.Logs()}");
            int[] chosen = [.. Enumerable.Range(1, 3).OrderBy(_ => random.Next()).Take(random.Next(4) == 0 ? 2 : 1)];
            foreach (var site in chosen) await sites.Mesh[site].KillAsync();
            written.Kills += chosen.Length;

            // What was sent before has reached its service by then; what may have been sent is not sent again for some seconds.
            await Task.Delay(random.Next(300, 3000));
            foreach (var site in chosen) sites.Of(site).BeginLife();
            await Task.WhenAll(chosen.Select(site => sites.Mesh[site].StartAsync()));
        }
    }

    private static async Task WriteAsync(NumbersSites sites, int site, int writer, Random random, Written written, CancellationToken done)
    {
        for (var i = 0; !done.IsCancellationRequested; i++)
        {
            try
            {
                if (written.Created.IsEmpty || random.Next(2) == 0) await CreateAsync(sites, site, $"{writer}-{i}", written);
                else await UpdateAsync(sites, site, $"{writer}-{i}", random, written);
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                // The agent is down, or went down: what was asked of it may have been done. Another comes when it is back.
                await Task.Delay(random.Next(50, 300), CancellationToken.None);
            }
        }
    }

    private static async Task CreateAsync(NumbersSites sites, int site, string key, Written written)
    {
        written.Begun.Add(key);
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
        /// <summary>Agents that were killed.</summary>
        public int Kills { get; set; }

        /// <summary>Meta-ids of what was acknowledged, by key.</summary>
        public ConcurrentDictionary<string, string> Created { get; } = new();

        /// <summary>Values whose update was acknowledged.</summary>
        public ConcurrentBag<(string Key, string Value)> Updated { get; } = [];

        /// <summary>Keys of creates that were begun.</summary>
        public ConcurrentBag<string> Begun { get; } = [];

        /// <summary>Keys of creates that surely were not executed.</summary>
        public ConcurrentBag<string> Refused { get; } = [];

        /// <summary>Creates and updates that were acknowledged.</summary>
        public int Acknowledged => Created.Count + Updated.Count;

        public override string ToString() =>
            $"{Kills} agents killed; acknowledged: {Created.Count} creates and {Updated.Count} updates; of {Begun.Count} creates begun, {Refused.Count} surely not executed";
    }
}
