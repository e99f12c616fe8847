using System.Globalization;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Clocks that jump, by hours and backwards, under agents that run and over restarts: nothing depends on what they say.</summary>
public sealed class ClockTests
{
    private const string Library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

    [Fact]
    public async Task ClocksThatJumpChangeNothing()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3, WithClock);
        var created = new Dictionary<string, string> { ["before"] = await sites.CreatedAsync(1, "before") };

        foreach (var (first, second) in ((string, string)[])[("+3h", "-3h"), ("-2d", "+40d"), ("+0", "-1h")])
        {
            SetClock(sites, 1, first);
            SetClock(sites, 2, second);
            await Task.WhenAll(SeenAsync(sites, 1, first), SeenAsync(sites, 2, second));
            await WorkAsync(sites, created, $"with {first} and {second}");
        }

        // A site that comes back in the past, and one in the future.
        await Task.WhenAll(sites.Mesh[1].KillAsync(), sites.Mesh[2].KillAsync());
        SetClock(sites, 1, "-300d");
        SetClock(sites, 2, "+300d");
        await Task.WhenAll(sites.Mesh[1].StartAsync(), sites.Mesh[2].StartAsync());
        await sites.Mesh.LinkedAsync();
        await WorkAsync(sites, created, "after a start");

        await sites.QuietAsync();
        foreach (var (key, metaId) in created) await sites.AssertReplicatedAsync(key, metaId, 1, 2, 3);
    }

    private static async Task WorkAsync(NumbersSites sites, Dictionary<string, string> created, string what)
    {
        for (var site = 1; site <= 3; site++)
        {
            created[$"{what} at {site}"] = await sites.CreatedAsync(site, $"{what} at {site}");
            Assert.Equal(200, (await sites.PutAsync(site, created["before"], "before", $"{what} at {site}")).Status);
        }

        // No link is taken for dead.
        foreach (var site in sites.Mesh.Sites)
        {
            var seen = await site.SitesAsync();
            Assert.All(seen.Values, one => Assert.Equal("up", one.GetProperty("state").GetString()));
        }
    }

    // The agent dates its answers by its clock.
    private static Task SeenAsync(NumbersSites sites, int site, string offset)
    {
        var amount = int.Parse(offset.TrimEnd('h', 'd'), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var jump = offset.EndsWith('d') ? TimeSpan.FromDays(amount) : TimeSpan.FromHours(amount);
        return Wait.UntilAsync(
            $"Site{site}'s clock has jumped by {offset}",
            async () =>
            {
                var answer = await Client.GetAsync(sites.Mesh[site].Of(NumbersSites.Service), "/v1/things/0");
                return (DateTimeOffset.Parse(answer.Fields["Date"], CultureInfo.InvariantCulture) - DateTimeOffset.UtcNow - jump).Duration() < TimeSpan.FromMinutes(10);
            });
    }

    private static string ClockOf(Site site) => Path.Combine(site.Directory, "clock");

    private static void SetClock(NumbersSites sites, int site, string offset) => File.WriteAllText(ClockOf(sites.Mesh[site]), offset + "\n");

    // The wall clock alone: no machine's monotonic clock jumps.
    private static void WithClock(Site site)
    {
        Assert.True(File.Exists(Library), $"{Library} is missing: apt-get install faketime");
        File.WriteAllText(ClockOf(site), "+0\n");
        site.Surroundings["LD_PRELOAD"] = Library;
        site.Surroundings["FAKETIME_TIMESTAMP_FILE"] = ClockOf(site);
        site.Surroundings["FAKETIME_CACHE_DURATION"] = "1";
        site.Surroundings["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
    }
}
