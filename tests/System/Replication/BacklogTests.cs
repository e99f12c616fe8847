using System.Globalization;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>A site that is gone for long: what waits for it costs the others little, and is carried out in order when it is back.</summary>
public sealed class BacklogTests
{
    private const int Things = 100;
    private const int Changes = 100;
    private const long MemoryMax = 200 * 1024 * 1024;

    [Fact]
    public async Task TenThousandOperationsWaitForASiteAndAreCarriedOutInOrderWhenItIsBack()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();
        await sites.Mesh[3].KillAsync();
        await Task.WhenAll(sites.Mesh[1].SeesAsync("Site3", "down"), sites.Mesh[2].SeesAsync("Site3", "down"));

        var ids = new string[Things];
        await Parallel.ForAsync(0, Things, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (thing, _) =>
        {
            var site = 1 + (thing % 2);
            ids[thing] = await sites.CreatedAsync(site, $"thing-{thing}");
            for (var change = 1; change < Changes; change++)
            {
                var answer = await sites.PutAsync(site, ids[thing], $"thing-{thing}", change.ToString(CultureInfo.InvariantCulture));
                Assert.True(answer.Status == 200, $"thing {thing}, change {change}: {answer.Status} {answer.Body}");
            }
        });

        var groups = (await Client.GetAsync(new Uri(sites.Mesh[1].ApiUrl), "/_cheops/v1/groups")).Json.GetProperty("groups");
        Assert.Equal(Things * Changes, groups[0].GetProperty("openOperations").GetInt32());
        Assert.InRange(sites.Mesh[1].Agent.Memory(), 0, MemoryMax);
        Assert.Contains("Site3=unreachable", (await sites.GetAsync(1, ids[0])).Fields["Cheops-Replicas"], StringComparison.Ordinal);

        await sites.Mesh[3].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync(3, 1, 2);
        for (var thing = 0; thing < Things; thing++) await sites.AssertReplicatedAsync($"thing-{thing}", ids[thing], 1, 2, 3);
        Assert.Equal(Changes, sites.Of(3).ValuesOf("thing-0").Count);
    }
}
