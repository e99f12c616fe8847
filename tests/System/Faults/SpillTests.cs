using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Bodies that may have to be sent again are kept past 256 KiB in files: what a full disk does to them.</summary>
public sealed class SpillTests
{
    [Fact]
    public async Task AFullDiskIsToldAndEverythingElseGoesOn()
    {
        var small = Places.NewDirectory();
        (await Commands.RunAsync(["mount", "-t", "tmpfs", "-o", "size=4m", "cheops-test", small])).Succeeded();
        try
        {
            await using var sites = await ApiSites.StartAsync(
                2,
                async (site, call) =>
                {
                    var size = await call.SkipBodyAsync();
                    if (site == "Site1" && call.Target == "/lost") call.Reset();
                    else await call.AnswerAsync(site == "Site1" ? 404 : 200, $"{size}");
                },
                site =>
                {
                    if (site.Name == "Site1") site.Settings["CHEOPS_DATA"] = Path.Combine(small, "data");
                });

            // What fits is sent again to the second location.
            Assert.Equal((200, "1000000"), await PutAsync(sites, 1_000_000, "/", "Site1 ; Site2"));
            Assert.Equal((200, "1000000"), await PutAsync(sites, 1_000_000, "/lost", "Site1 ; Site2"));

            // What does not fit is not, and the client is told so: that Site1 refused is no answer to both.
            (await SendAsync(sites, 20_000_000, "/", "Site1 ; Site2")).Problem(507, "forward", true);
            (await SendAsync(sites, 20_000_000, "/lost", "Site1 ; Site2")).Problem(507, "forward", false);

            // Nothing is left on the disk, and a body for one place needs none.
            Assert.Equal((200, "1000000"), await PutAsync(sites, 1_000_000, "/", "Site1 ; Site2"));
            Assert.Equal((200, "20000000"), await PutAsync(sites, 20_000_000, "/", "Site2"));
            await Wait.UntilAsync("nothing is kept", async () => await sites.Site1.MetricAsync("cheops_kept_bodies_spilled_bytes") == 0);
        }
        finally
        {
            (await Commands.RunAsync(["umount", "-l", small])).Succeeded();
            Directory.Delete(small);
        }
    }

    private static async Task<(int Status, string Body)> PutAsync(ApiSites sites, int size, string path, string scope)
    {
        var answer = await SendAsync(sites, size, path, scope);
        return (answer.Status, answer.Body);
    }

    private static Task<Answer> SendAsync(ApiSites sites, int size, string path, string scope) =>
        Client.SendAsync(HttpMethod.Put, sites.At1, path, scope, new string('x', size));
}
