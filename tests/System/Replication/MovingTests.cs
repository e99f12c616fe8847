using System.Collections.Concurrent;
using System.Globalization;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Sites are added to a replicant and removed from it while it is changed, also when whoever moves it is killed.</summary>
public sealed class MovingTests
{
    [Fact]
    public async Task ASiteIsAddedAndRemovedWhileUpdatesRun()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "moved");
        await sites.QuietAsync(1, 2);
        using var done = new CancellationTokenSource();
        var written = new ConcurrentQueue<string>();
        var writing = Task.WhenAll(WriteAsync(sites, 1, metaId, written, done.Token), WriteAsync(sites, 2, metaId, written, done.Token));
        await WrittenAsync(written, 5);

        (await sites.Mesh[1].CheopsAsync("replicants", "add-site", metaId, "Site3")).Succeeded();
        await Wait.UntilAsync("Site3 has a replica", () => sites.Of(3).Things.Any(thing => thing.Key == "moved"), more: sites.Mesh.Logs);
        await WrittenAsync(written, 5);
        var atThird = await sites.PutAsync(3, metaId, "moved", "from Site3");
        Assert.True(atThird.Status == 200, $"{atThird.Status}: {atThird.Body}\n{sites.Mesh.Logs()}");
        await WrittenAsync(written, 5);

        (await sites.Mesh[2].CheopsAsync("replicants", "remove-site", metaId, "Site3", "--delete-replica")).Succeeded();
        await WrittenAsync(written, 5);
        await done.CancelAsync();
        await writing;
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("moved", metaId, 1, 2);
        Assert.DoesNotContain(sites.Of(3).Things, thing => thing.Key == "moved");
        Assert.Equal(31, sites.Of(3).Made);
        foreach (var value in written.Append("from Site3")) Assert.Contains(value, sites.Of(1).ValuesOf("moved"));
        var last = sites.Of(3).ValuesOf("moved");
        Assert.Equal(last, sites.Of(1).ValuesOf("moved").SkipWhile(value => value != last[0]).Take(last.Count));
    }

    [Fact]
    public async Task ASiteThatIsRemovedKeepsItsReplicaAsItsOwn()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "kept");
        await sites.QuietAsync();
        (await sites.Mesh[3].CheopsAsync("replicants", "remove-site", $"/v1/things/{metaId}", "Site3")).Succeeded();
        await sites.QuietAsync();
        var own = sites.ThingAt(3, "kept");
        Assert.Equal(200, (await sites.PutAsync(1, metaId, "kept", "shared")).Status);
        var changed = await sites.PutAsync(3, own.Id.ToString(CultureInfo.InvariantCulture), "kept", "own");
        Assert.True(changed.Status == 200, $"{changed.Status}: {changed.Body}\n{sites.Mesh.Logs()}");
        await sites.QuietAsync();
        Assert.Equal(("shared", "shared", "own"), (sites.ThingAt(1, "kept").Value, sites.ThingAt(2, "kept").Value, sites.ThingAt(3, "kept").Value));

        var other = await sites.PutAsync(1, metaId, "kept", "other", "Site1 & Site2 & Site3");
        Assert.Equal(409, other.Status);
        Assert.Contains("cheops replicants add-site", other.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task AMoveIsCompletedAlthoughASiteIsKilled(int killed)
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "moved");
        await sites.QuietAsync(1, 2);
        using var done = new CancellationTokenSource();
        var written = new ConcurrentQueue<string>();
        var writing = Task.WhenAll(WriteAsync(sites, 1, metaId, written, done.Token), WriteAsync(sites, 2, metaId, written, done.Token));
        await WrittenAsync(written, 5);
        for (var round = 0; round < 3; round++)
        {
            var adding = round % 2 == 0;
            var moving = sites.Mesh[1].CheopsAsync([.. adding ? new[] { "replicants", "add-site", metaId, "Site3" } : ["replicants", "remove-site", metaId, "Site3", "--delete-replica"]]);

            // At another moment of the move each time.
            await Task.WhenAny(moving, Task.Delay(40 * round));
            await sites.Mesh[killed].KillAsync();
            await sites.Mesh[killed].StartAsync();
            await moving;
            await sites.Mesh.LinkedAsync();
            await Wait.UntilAsync("no move is under way", async () => (await sites.OperationsAsync(1)).All(one => one.GetProperty("kind").GetString() != "move"), Wait.Long, sites.Mesh.Logs);

            // Killed before the move was recorded, it did not begin.
            (await sites.Mesh[1].CheopsAsync(adding ? ["replicants", "add-site", metaId, "Site3"] : ["replicants", "remove-site", metaId, "Site3", "--delete-replica"])).Succeeded();
            await Wait.UntilAsync("Site3 is as asked", () => sites.Of(3).Things.Any(thing => thing.Key == "moved") == adding, more: sites.Mesh.Logs);
        }

        await done.CancelAsync();
        await writing;
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("moved", metaId, 1, 2);
        foreach (var value in written) Assert.Contains(value, sites.Of(1).ValuesOf("moved"));
        Assert.Equal(sites.ThingAt(1, "moved").Value, sites.ThingAt(3, "moved").Value);
    }

    [Fact]
    public async Task WhoAsksForTheSameAtTheSameTimeIsToldTheSame()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        var metaId = await sites.CreatedAsync(1, "moved");
        await sites.QuietAsync(1, 2);
        for (var round = 0; round < 6; round++)
        {
            var adding = round % 2 == 0;
            string[] command = adding ? ["replicants", "add-site", metaId, "Site3"] : ["replicants", "remove-site", metaId, "Site3", "--delete-replica"];
            foreach (var ran in await Task.WhenAll(sites.Mesh[1].CheopsAsync(command), sites.Mesh[2].CheopsAsync(command))) ran.Succeeded();
            await sites.QuietAsync(1, 2);
            await Wait.UntilAsync("Site3 is as asked", () => sites.Of(3).Things.Any(thing => thing.Key == "moved") == adding, more: sites.Mesh.Logs);
        }
    }

    private static Task WrittenAsync(ConcurrentQueue<string> written, int more)
    {
        var before = written.Count;
        return Wait.UntilAsync($"{more} more updates are acknowledged", () => written.Count >= before + more);
    }

    private static async Task WriteAsync(NumbersSites sites, int site, string metaId, ConcurrentQueue<string> written, CancellationToken done)
    {
        for (var number = 1; !done.IsCancellationRequested; number++)
        {
            try
            {
                var value = $"{site}-{number}";
                var answer = await sites.PutAsync(site, metaId, "moved", value);
                if (answer.Status == 200) written.Enqueue(value);
                else await Task.Delay(50, CancellationToken.None);
            }
            catch (HttpRequestException)
            {
                // Its agent is being killed: what it was asked may be done or not.
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }
}
