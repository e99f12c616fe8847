using System.Globalization;
using Cheops.Tests.System.Harness;
using Cheops.Tests.System.Replication;

namespace Cheops.Tests.System.Faults;

/// <summary>The operation log of a site that replicates does not fill a small disk for good: it is given back while it is written to.</summary>
public sealed class SmallDiskTests
{
    private const int DiskMiB = 48;
    private const int ValueSize = 200_000;
    private const int Clients = 4;

    [Fact]
    public async Task ThreeTimesWhatADiskHoldsIsWrittenAndTheLogIsGivenBack()
    {
        var disk = Places.NewDirectory();
        (await Commands.RunAsync(["mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={DiskMiB}m"), "cheops-test", disk])).Succeeded();
        try
        {
            await using var sites = await NumbersSites.StartAsync(3, 3, site =>
            {
                if (site.Name == "Site1") site.Settings["CHEOPS_DATA"] = Path.Combine(disk, "data");
            });
            var metaIds = new string[Clients];
            for (var client = 0; client < Clients; client++) metaIds[client] = await sites.CreatedAsync(1, $"thing-{client}");
            await sites.QuietAsync();
            await sites.LeadAsync(1);

            // Nothing is open for long: what is refused for want of room is taken a moment later.
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => WriteAsync(sites, metaIds[client], client)));
            await sites.QuietAsync();
            for (var client = 0; client < Clients; client++) await sites.AssertReplicatedAsync($"thing-{client}", metaIds[client], 1, 2, 3);

            // A third of what there was room for, and the segments where it begins and goes on.
            await Wait.UntilAsync("the log on the small disk is small", () => LogMiB(disk) <= 20, more: () => $"{LogMiB(disk)} MiB\n{sites.Mesh.Logs()}");
            await sites.Mesh[1].KillAsync();
            await sites.Mesh[1].StartAsync();
            await sites.Mesh.LinkedAsync();
            await Wait.UntilAsync("writes are taken after a start", async () => (await sites.PutAsync(1, metaIds[0], "thing-0", "after")).Status == 200, more: sites.Mesh.Logs);
            Assert.Matches("recovered [0-9]+ records of the operation log", sites.Mesh[1].Log);
        }
        finally
        {
            (await Commands.RunAsync(["umount", "-l", disk])).Succeeded();
            Directory.Delete(disk);
        }
    }

    private static async Task WriteAsync(NumbersSites sites, string metaId, int client)
    {
        for (var number = 0; number < 3 * (DiskMiB << 20) / ValueSize / Clients; number++)
        {
            var value = number.ToString(CultureInfo.InvariantCulture).PadRight(ValueSize, '.');
            await Wait.UntilAsync(
                $"change {number} is taken",
                async () =>
                {
                    var answer = await sites.PutAsync(1, metaId, $"thing-{client}", value);
                    if (answer.Status != 200) answer.Problem(507, "replicate", true);
                    return answer.Status == 200;
                },
                more: sites.Mesh.Logs);
        }
    }

    private static long LogMiB(string disk) => Directory.EnumerateFiles(Path.Combine(disk, "data", "log")).Sum(path => new FileInfo(path).Length) >> 20;
}
