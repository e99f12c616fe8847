using System.Globalization;
using Cheops.Tests.System.Harness;
using Cheops.Tests.System.Replication;

namespace Cheops.Tests.System.Faults;

/// <summary>The disk of a site that replicates is full: it refuses writes and says so, reads, and goes on by itself when there is room.</summary>
public sealed class FullDiskTests
{
    private const int LargeSize = 400_000;
    private const int SmallSize = 100_000;
    private const int WritesMax = 500;

    [Fact]
    public async Task ReplicatedWritesAreRefusedUntilThereIsRoomAgain()
    {
        var disk = Places.NewDirectory();
        (await Commands.RunAsync(["mount", "-t", "tmpfs", "-o", "size=64m", "cheops-test", disk])).Succeeded();
        try
        {
            await using var sites = await NumbersSites.StartAsync(3, 3, site =>
            {
                if (site.Name == "Site1") site.Settings["CHEOPS_DATA"] = Path.Combine(disk, "data");
            });
            var metaId = await sites.CreatedAsync(1, "thing");
            await sites.QuietAsync();
            await sites.LeadAsync(1);

            // What waits for Site3's service keeps the logs from being given back.
            await sites.Of(3).DisposeAsync();
            Assert.Equal(200, (await sites.PutAsync(1, metaId, "thing", "waits")).Status);
            await FillAsync(Path.Combine(disk, "filler"));

            // A large body has no room at once, an operation when the log cannot grow.
            var large = (await sites.PutAsync(1, metaId, "thing", new string('x', LargeSize))).Problem(507, "replicate", true);
            Assert.Equal("body-not-kept", large.GetProperty("type").GetString()!.Split('/', ':')[^1]);
            var (written, refused) = await WriteUntilRefusedAsync(sites, metaId);
            var small = refused.Problem(507, "replicate", true);
            Assert.Equal("disk-full", small.GetProperty("type").GetString()!.Split('/', ':')[^1]);
            Assert.Contains("room", small.GetProperty("detail").GetString(), StringComparison.Ordinal);
            Assert.Equal("Site1", small.GetProperty("site").GetString());

            // Reads go on, of replicants and of all else.
            Assert.Equal(written, (await sites.GetAsync(1, metaId)).Json.GetProperty("value").GetString());
            Assert.Equal(200, (await sites.GetAsync(1, "1")).Status);

            File.Delete(Path.Combine(disk, "filler"));
            await Wait.UntilAsync("writes are taken again", async () => (await sites.PutAsync(1, metaId, "thing", "after")).Status == 200, more: sites.Mesh.Logs);
            Assert.Equal(200, (await sites.PutAsync(1, metaId, "thing", new string('y', LargeSize))).Status);
            sites.Of(3).ComeBack();
            await sites.QuietAsync();
            await sites.AssertReplicatedAsync("thing", metaId, 1, 2, 3);
            Assert.Equal(LargeSize, sites.ThingAt(3, "thing").Value.Length);
            Assert.DoesNotContain(sites.Of(2).ValuesOf("thing"), value => value.StartsWith('x'));
        }
        finally
        {
            (await Commands.RunAsync(["umount", "-l", disk])).Succeeded();
            Directory.Delete(disk);
        }
    }

    private static async Task FillAsync(string path)
    {
        await using var filler = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        var zeros = new byte[4096];
        try
        {
            while (true) await filler.WriteAsync(zeros);
        }
        catch (IOException)
        {
            // There is no room for more.
        }
    }

    // Whatever is taken has room for its outcome.
    private static async Task<(string Written, Answer Refused)> WriteUntilRefusedAsync(NumbersSites sites, string metaId)
    {
        var written = "waits";
        for (var number = 0; number < WritesMax; number++)
        {
            var value = number.ToString(CultureInfo.InvariantCulture).PadRight(SmallSize, '.');
            var answer = await sites.PutAsync(1, metaId, "thing", value);
            if (answer.Status != 200) return (written, answer);
            written = value;
        }

        throw new InvalidOperationException($"a full disk took {WritesMax} operations");
    }
}
