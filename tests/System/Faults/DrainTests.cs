using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>SIGTERM: no new connections, what is under way finishes, exit code 0.</summary>
public sealed class DrainTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("Site2")]
    public async Task WhatIsUnderWayFinishes(string? scope)
    {
        var arrived = new TaskCompletionSource();
        var go = new TaskCompletionSource();
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            arrived.TrySetResult();
            await go.Task;
            await call.AnswerAsync(200, site);
        });
        var draining = scope is null ? sites.Site1 : sites.Site2;
        var asked = Client.GetAsync(sites.At1, "/", scope);
        await arrived.Task.WaitAsync(Wait.Long);
        draining.Agent.Signal(Daemon.SigTerm);
        await Wait.UntilAsync("no new connection is taken", async () =>
        {
            try
            {
                await using var client = await RawClient.ConnectAsync(draining.Of(ApiSites.Service));
                return false;
            }
            catch (global::System.Net.Sockets.SocketException)
            {
                return true;
            }
        });
        Assert.False(draining.Agent.HasExited);
        Assert.False(asked.IsCompleted);
        go.SetResult();
        var answer = await Wait.ForAsync(asked, "the answer that was under way");
        Assert.Equal((200, draining.Name), (answer.Status, answer.Body));
        Assert.Equal(0, await draining.Agent.WaitAsync());
    }

    [Fact]
    public async Task IdleConnectionsDoNotHoldTheAgentBack()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        await using var idle = await RawClient.ConnectAsync(sites.At1);
        await idle.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("Site1", await idle.BodyAsync(await idle.AnswerAsync()));
        sites.Site1.Agent.Signal(Daemon.SigTerm);
        Assert.Equal(0, await sites.Site1.Agent.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task WhatNeverEndsIsCutWhenTheTimeToDrainIsOver()
    {
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.BeginAsync(200);
            await call.ChunkAsync("first");
            await call.GoneAsync();
        });
        await using var watching = await RawClient.ConnectAsync(sites.At1);
        await watching.SendAsync("GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
        await watching.AnswerAsync();
        sites.Site1.Agent.Signal(Daemon.SigTerm);
        Assert.Equal(0, await sites.Site1.Agent.WaitAsync(TimeSpan.FromMilliseconds(Proto.Bounds.DrainTimeMaxMs) + Wait.Long));

        // Not before its time, and the request that was cut has its line.
        Assert.Contains("reason=agent-ends", sites.Site1.Agent.Log, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await watching.Stream.ReadAsync(new byte[4096]) > 0)
            {
                // What had come before the cut.
            }

            throw new InvalidOperationException("the answer ended in order");
        });
    }

    [Fact]
    public async Task ADrainingSiteIsKnownAsSuch()
    {
        var go = new TaskCompletionSource();
        var arrived = new TaskCompletionSource();
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Target == "/slow")
            {
                arrived.TrySetResult();
                await go.Task;
            }

            await call.AnswerAsync(200, site);
        });
        var slow = Client.GetAsync(sites.Site2.Of(ApiSites.Service), "/slow");
        await arrived.Task.WaitAsync(Wait.Long);
        sites.Site2.Agent.Signal(Daemon.SigTerm);
        await Wait.UntilAsync("Site1 does not see Site2 up", async () => (await sites.Site1.SitesAsync())["Site2"].GetProperty("state").GetString() != "up");
        (await Client.PostAsync(sites.At1, "/", "{}", "Site2")).Problem(503, "forward", true);
        Assert.Equal("Site1", (await Client.PostAsync(sites.At1, "/", "{}", "Site2 ; Site1")).Body);
        go.SetResult();
        Assert.Equal(200, (await Wait.ForAsync(slow, "the slow answer")).Status);
        Assert.Equal(0, await sites.Site2.Agent.WaitAsync());
    }
}
