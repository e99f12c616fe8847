using System.Collections.Immutable;
using System.Globalization;
using Cheops.Agent.Hosting;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Store.Table;

namespace Cheops.Tests.Benchmarks.Replication;

/// <summary>
/// Fills the data directory of a site with replicants, and tells what it costs a request to find out that it names none of
/// them. <c>replicants DIRECTORY COUNT client|service</c>: the service chose their ids, or the client did.
/// </summary>
internal static class ReplicantsFill
{
    private static readonly string[] Sites = ["Site1", "Site2", "Site3"];

    /// <summary>Runs it, and prints JSON.</summary>
    public static async Task RunAsync(string directory, int count, bool idsOfService)
    {
        using var data = DataDirectory.Open(directory);
        await using var table = FasterReplicantTable.Open(data.PathOf("table"));
        var group = GroupId.Of(Sites);
        var replicants = new Replicants(Sites[0], ProfileSet.Combine([], out _), table, _ => [.. Sites]);
        for (var i = 0; i < count; i++) replicants.Import(Record(group, i, idsOfService));
        await table.CheckpointAsync(CheckpointMark.Write([(group, 1)]));
        var nanoseconds = LookUp(replicants, count);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{{\"replicants\":{count},\"keys\":{table.Count},\"disk_mib\":{table.DiskBytes / 1048576.0:0.0},\"lookup_ns\":{nanoseconds:0}}}"));
    }

    private static ReplicantRecord Record(GroupId group, int number, bool idsOfService) => new()
    {
        Key = new ReplicantKey("items", "/items", Id(0, number)),
        // As the profile of plain REST calls everything.
        Resource = "resources",
        Group = group,
        CreatedBy = new OperationId(new UInt128(1, (ulong)number)),
        LocalIds = Sites.Select((site, at) => (site, at)).ToImmutableSortedDictionary(
            pair => pair.site, pair => Id(idsOfService ? pair.at + 1 : 0, number), StringComparer.Ordinal),
    };

    private static string Id(int space, int number) => new Guid(number, (short)space, 0, 1, 2, 3, 4, 5, 6, 7, 8).ToString();

    // Different paths, as many as are there, so that the processor's caches hold no more than they would.
    private static double LookUp(Replicants replicants, int count)
    {
        var paths = Enumerable.Range(0, 100_000).Select(i => System.Text.Encoding.ASCII.GetBytes("/items/" + Id(9, i * (count / 100_000)))).ToArray();
        var found = 0;
        var rounds = new List<double>();
        for (var round = 0; round < 20; round++)
        {
            // The processor's time: whatever else the machine does is not the table's.
            var before = Environment.CpuUsage.TotalTime;
            foreach (var path in paths) found += replicants.MayName("items", path) ? 1 : 0;
            rounds.Add((Environment.CpuUsage.TotalTime - before).TotalNanoseconds / paths.Length);
        }

        rounds.Sort();
        return found < paths.Length ? rounds[rounds.Count / 2] : throw new InvalidOperationException("resources that are not replicated are found");
    }
}
