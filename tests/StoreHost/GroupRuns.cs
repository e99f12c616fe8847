using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Cheops.Raft;

namespace Cheops.Tests.StoreHost;

/// <summary>What the process does with groups, for tests to kill and measure.</summary>
public static class GroupRuns
{
    /// <summary>Checks that every number in <paramref name="acknowledged"/> is there once, then proposes further ones until it is killed.</summary>
    /// <param name="directory">Where the logs are.</param>
    /// <param name="acknowledged">The numbers up to this one were proposed; a file names those that were acknowledged.</param>
    public static async Task<int> ProposeAsync(string directory, string acknowledged)
    {
        await using var sites = GroupSites.Open(directory);
        var group = await FoundAsync(sites);
        var id = group.Founding.Id;
        var there = File.Exists(acknowledged) ? (await File.ReadAllLinesAsync(acknowledged)).Select(l => long.Parse(l, CultureInfo.InvariantCulture)).ToList() : [];
        await group.BarrierAsync();
        foreach (var number in there)
        {
            if (sites.Machine("A", id).TimesOf(number) == 1) continue;
            await Console.Out.WriteLineAsync($"lost {number} ({sites.Machine("A", id).TimesOf(number)} times)");
            return 1;
        }

        await Console.Out.WriteLineAsync($"open {sites.Machine("A", id).Count}");
        var next = there.Count == 0 ? 0 : there.Max() + 1000;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => WriteAsync(sites.Hosts[GroupSites.Names[writer % 3]].Find(id) ?? group, () => Interlocked.Increment(ref next))));
        return 0;
    }

    /// <summary>Measures proposals: how many a second, and how long one takes.</summary>
    public static async Task<int> BenchAsync(string directory, int writers, int milliseconds)
    {
        await using var sites = GroupSites.Open(directory);
        var group = await FoundAsync(sites);
        await group.LeadAsync("A");
        foreach (var proposer in new[] { "A", "B" })
        {
            var here = sites.Hosts[proposer].Find(group.Founding.Id)!;
            var times = new List<double>();
            var end = Stopwatch.StartNew();
            await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => MeasureAsync(here, times, end, milliseconds)));
            times.Sort();
            await Console.Out.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"at {(proposer == "A" ? "the leader" : "a follower")}, {writers} writers: {times.Count * 1000.0 / end.ElapsedMilliseconds:F0}/s, p50 {times[times.Count / 2]:F2} ms, p99 {times[times.Count * 99 / 100]:F2} ms"));
        }

        return 0;
    }

    private static async Task<IReplicaGroup> FoundAsync(GroupSites sites)
    {
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                return await sites.Hosts["A"].FoundAsync([.. GroupSites.Names], null);
            }
            catch (GroupException) when (waited.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(10);
            }
        }
    }

    private static async Task WriteAsync(IReplicaGroup group, Func<long> next)
    {
        while (true)
        {
            var number = next();
            try
            {
                await group.ProposeAsync(Entry(number));
                await Console.Out.WriteLineAsync($"ack {number}");
            }
            catch (GroupException e) when (e.Error is GroupError.Unknown or GroupError.NoMajority)
            {
                // Not acknowledged: it may be there or not.
            }
        }
    }

    private static async Task MeasureAsync(IReplicaGroup group, List<double> times, Stopwatch end, int milliseconds)
    {
        var entry = new byte[256];
        await Task.Yield();
        while (end.ElapsedMilliseconds < milliseconds)
        {
            var begun = Stopwatch.GetTimestamp();
            await group.ProposeAsync(entry);
            lock (times) times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }
    }

    private static byte[] Entry(long number)
    {
        var entry = new byte[64];
        BinaryPrimitives.WriteInt64LittleEndian(entry, number);
        return entry;
    }
}
