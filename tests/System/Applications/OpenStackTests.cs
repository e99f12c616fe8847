using System.Security.Cryptography;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Applications;

/// <summary>OpenStack, not a line of it touched, at two sites that work together as the user says.</summary>
public sealed class OpenStackTests(OpenStackSites sites) : IClassFixture<OpenStackSites>
{
    private const string FromSite2 = "{glance: Site2, nova: Site1}";

    [Fact]
    public async Task AServerBootsHereFromAnImageThatOnlyTheOtherSiteHas()
    {
        var image = await CreateImageAsync(2, "debian", RandomNumberGenerator.GetBytes(100_000));
        Assert.NotEqual(0, (await sites.OpenStackAsync(1, null, "image", "show", "debian")).ExitCode);
        Assert.NotEqual(0, (await sites.OpenStackAsync(1, null, "server", "create", "nothere", "--image", image, "--flavor", "m1.tiny", "--nic", "none")).ExitCode);

        var server = await sites.TellAsync(1, FromSite2, "server", "create", "web", "--image", "debian", "--flavor", "m1.tiny", "--nic", "none", "-f", "value", "-c", "id");
        await BecomesActiveAsync(1, server);
        Assert.Equal("site-1", await sites.TellAsync(1, null, "server", "show", server, "-f", "value", "-c", "OS-EXT-SRV-ATTR:host"));
        Assert.NotEqual(0, (await sites.OpenStackAsync(2, null, "server", "show", server)).ExitCode);

        // The plug-in takes the scope on the command's own line as well.
        var ran = await Commands.RunAsync(
            [Places.Cheops, "run", "--", "/usr/bin/openstack", "image", "show", "debian", "--scope", "{glance: Site2}", "-f", "value", "-c", "id"],
            sites.ClientOfSite(1), TimeSpan.FromMinutes(1));
        Assert.Equal(image, ran.Succeeded().Output.Trim());
    }

    [Fact]
    public async Task AnImageOfTheOtherSiteIsShownAndSavedByteForByte()
    {
        var data = RandomNumberGenerator.GetBytes(50 * 1024 * 1024);
        var image = await CreateImageAsync(2, "large", data);
        Assert.Equal("active", await sites.TellAsync(1, "{glance: Site2}", "image", "show", "large", "-f", "value", "-c", "status"));

        var file = Path.GetTempFileName();
        try
        {
            await sites.TellAsync(1, "{glance: Site2}", "image", "save", "--file", file, image);
            Assert.Equal(Convert.ToHexString(SHA256.HashData(data)), Convert.ToHexString(SHA256.HashData(await File.ReadAllBytesAsync(file))));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task ALocalBootTouchesNoOtherSite()
    {
        await CreateImageAsync(1, "local", RandomNumberGenerator.GetBytes(10_000));
        var before = await TouchedAsync();
        var server = await sites.TellAsync(1, null, "server", "create", "alone", "--image", "local", "--flavor", "m1.tiny", "--nic", "none", "-f", "value", "-c", "id");
        await BecomesActiveAsync(1, server);
        Assert.Equal(before, await TouchedAsync());

        // The counter does count: one request with a scope is one more.
        await sites.TellAsync(1, "{glance: Site2}", "image", "list");
        Assert.NotEqual(before, await TouchedAsync());
    }

    [Fact]
    public async Task AnImageIsMadeAtBothSitesWithItsDataAndChangedFromEither()
    {
        var data = RandomNumberGenerator.GetBytes(50 * 1024 * 1024);
        var image = await CreateImageAsync(1, "both", data, "{glance: Site1 & Site2}");
        foreach (var site in (int[])[1, 2])
        {
            await HasAsync(site, image, "status", "active");
            Assert.Contains(image, await sites.TellAsync(site, null, "image", "list", "-f", "value", "-c", "ID"), StringComparison.Ordinal);
            Assert.Equal(Convert.ToHexString(SHA256.HashData(data)), await SavedAsync(site, image));
        }

        // The data crossed the link once; what comes with a stream's head travels on the control lane.
        var carried = await sites.Mesh[1].MetricAsync("cheops_link_bulk_sent_bytes_total");
        Assert.InRange(carried, 0.9 * data.Length, 1.2 * data.Length);

        await sites.TellAsync(2, null, "image", "set", "--name", "renamed", image);
        await HasAsync(1, image, "name", "renamed");
        await HasAsync(2, image, "name", "renamed");

        // A site is removed from it with its replica, and added again: it gets the image as it is now, data included. No user's
        // token comes with a move: the sites act with their own credentials.
        foreach (var site in (int[])[1, 2]) sites.WriteCredential(site, "secret");
        (await sites.Mesh[2].CheopsAsync("replicants", "remove-site", image, "Site2", "--delete-replica")).Succeeded();
        await AnswersAsync(2, image, "404");
        await sites.PurgeImagesAsync(2);
        (await sites.Mesh[1].CheopsAsync("replicants", "add-site", image, "Site2")).Succeeded();
        await AnswersAsync(2, image, "200");
        await HasAsync(2, image, "status", "active");
        await HasAsync(2, image, "name", "renamed");
        Assert.Equal(Convert.ToHexString(SHA256.HashData(data)), await SavedAsync(2, image));

        await sites.TellAsync(1, null, "image", "delete", image);
        foreach (var site in (int[])[1, 2]) await AnswersAsync(site, image, "404");
    }

    // The glance of the site itself, asked without Cheops.
    private async Task AnswersAsync(int site, string image, string status)
    {
        var token = await sites.TellAsync(site, null, "token", "issue", "-f", "value", "-c", "id");
        await Wait.UntilAsync(
            $"glance at Site{site} answers {status} when it is asked for the image",
            async () => (await Commands.ShellAsync($"curl -sS -m 60 -o /dev/null -w '%{{http_code}}' -H 'X-Auth-Token: {token}' http://127.0.{site}.1:9292/v2/images/{image}")).Output == status,
            TimeSpan.FromMinutes(2),
            sites.Mesh.Logs);
    }

    [Fact]
    public async Task AChangeWhoseTokenWasRevokedIsCarriedOutWithTheSitesOwnCredential()
    {
        foreach (var site in (int[])[1, 2]) sites.WriteCredential(site, "wrong");
        var token = await sites.TellAsync(1, null, "token", "issue", "-f", "value", "-c", "id");
        await sites.StopGlanceAsync(2);
        var create = await Commands.ShellAsync(
            $$$"""curl -sS -m 60 -i -H 'X-Auth-Token: {{{token}}}' -H 'Scope: glance: Site1 & Site2' -H 'Content-Type: application/json' -d '{"name":"late","disk_format":"raw","container_format":"bare"}' http://127.0.1.1:19292/v2/images""");
        Assert.Contains(" 201 ", create.Succeeded().Output.Split('\n')[0], StringComparison.Ordinal);
        Assert.Contains("Site2=pending", create.Output, StringComparison.Ordinal);
        var image = await sites.TellAsync(1, null, "image", "show", "late", "-f", "value", "-c", "id");
        var revoked = await Commands.ShellAsync($"curl -sS -m 60 -o /dev/null -w '%{{http_code}}' -X DELETE -H 'X-Auth-Token: {token}' -H 'X-Subject-Token: {token}' http://127.0.2.1:5000/v3/auth/tokens");
        Assert.Equal("204", revoked.Succeeded().Output);

        // The token is worth nothing at Site2 any more, and neither is Site2's own credential yet: it waits, and says why.
        await sites.StartAsync();
        await Wait.UntilAsync(
            "Site2 says why it waits",
            async () => (await Commands.ShellAsync($"curl -sS {sites.Mesh[2].ApiUrl}/_cheops/v1/operations")).Output.Contains("401; no token: the identity service at http://127.0.2.1:5000 answered 401", StringComparison.Ordinal),
            TimeSpan.FromMinutes(2),
            sites.Mesh.Logs);
        sites.WriteCredential(2, "secret");
        await HasAsync(2, image, "name", "late");
        Assert.DoesNotContain("secret", sites.Mesh.Logs(), StringComparison.Ordinal);
        Assert.DoesNotContain(token, sites.Mesh.Logs(), StringComparison.Ordinal);
    }

    private Task HasAsync(int site, string image, string column, string wanted) => Wait.UntilAsync(
        $"the image at Site{site} has the {column} {wanted}",
        async () => await sites.OpenStackAsync(site, null, "image", "show", image, "-f", "value", "-c", column) is { ExitCode: 0 } ran && ran.Output.Trim() == wanted,
        TimeSpan.FromMinutes(2),
        sites.Mesh.Logs);

    private async Task<string> SavedAsync(int site, string image)
    {
        var file = Path.GetTempFileName();
        try
        {
            await sites.TellAsync(site, null, "image", "save", "--file", file, image);
            return Convert.ToHexString(SHA256.HashData(await File.ReadAllBytesAsync(file)));
        }
        finally
        {
            File.Delete(file);
        }
    }

    // Requests that reached each site over links.
    private async Task<(double, double)> TouchedAsync() =>
        (await sites.Mesh[1].MetricAsync("cheops_http_responses_total", "cheops_service=\"@links\""),
            await sites.Mesh[2].MetricAsync("cheops_http_responses_total", "cheops_service=\"@links\""));

    private Task BecomesActiveAsync(int site, string server)
    {
        var status = "";
        return Wait.UntilAsync(
            $"server {server} is active",
            async () =>
            {
                status = await sites.TellAsync(site, null, "server", "show", server, "-f", "value", "-c", "status", "-c", "fault");
                Assert.False(status.StartsWith("ERROR", StringComparison.Ordinal), $"{status}\n{sites.Mesh.Logs()}");
                return status == "ACTIVE";
            },
            TimeSpan.FromMinutes(3),
            () => $"{status}\n{sites.Mesh.Logs()}");
    }

    private async Task<string> CreateImageAsync(int site, string name, byte[] data, string? scope = null)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, data);
            return await sites.TellAsync(site, scope, "image", "create", name, "--disk-format", "raw", "--container-format", "bare", "--file", file, "-f", "value", "-c", "id");
        }
        finally
        {
            File.Delete(file);
        }
    }
}
