using System.Diagnostics;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Processes that end without a word, and what the others then say and do.</summary>
public sealed class CrashTests
{
    // A refusal that does not wait for anything; far above what it takes, far below any time-out.
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task AKilledAgentIsKnownAsDownAndComesBack()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        await sites.Site2.KillAsync();
        await sites.Site1.SeesAsync("Site2", "down");
        await RefusedAtOnceAsync(sites);
        Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/", "Site2 ; Site1")).Body);
        Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
        await sites.Site2.StartAsync();
        await sites.Mesh.LinkedAsync();
        Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
    }

    [Fact]
    public async Task AKilledNatsServerIsStartedAgain()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        foreach (var site in new[] { sites.Site1, sites.Site2 })
        {
            var server = site.NatsServer();
            Daemon.Signal(server, Daemon.SigKill);

            // Local requests never notice.
            Assert.Equal(site.Name, (await Client.GetAsync(site.Of(ApiSites.Service), "/")).Body);
            await Wait.UntilAsync("another nats-server runs", () => site.Agent.Children().Any(pid => pid != server && File.Exists($"/proc/{pid}/exe") && IsNats(pid)), more: () => site.Log);
            await Wait.UntilAsync(
                "requests reach the other site again",
                async () => (await Client.GetAsync(sites.At1, "/", "Site2")) is { Status: 200, Body: "Site2" },
                more: sites.Mesh.Logs);
        }

        Assert.True(await sites.Site1.MetricAsync("cheops_nats_server_starts_total") >= 2);

        static bool IsNats(int pid)
        {
            try
            {
                return File.ReadAllText($"/proc/{pid}/comm").StartsWith("nats", StringComparison.Ordinal);
            }
            catch (IOException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task ANatsServerDoesNotOutliveItsAgent()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        var server = sites.Site1.NatsServer();
        await sites.Site1.KillAsync();
        await Wait.UntilAsync("the nats-server is gone", () => !Directory.Exists($"/proc/{server}") || File.ReadAllText($"/proc/{server}/status").Contains("State:\tZ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AStoppedServiceIsToldTruthfully()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
        await sites.StopServiceAsync(2);
        (await Client.GetAsync(sites.Site2.Of(ApiSites.Service), "/")).Problem(503, "connect", true);
        (await Client.PostAsync(sites.At1, "/", "{}", "Site2")).Problem(503, "connect", true);
        Assert.Equal("Site1", (await Client.PostAsync(sites.At1, "/", "{}", "Site2 ; Site1")).Body);
        sites.StartService(2, ApiSites.Hello);
        Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
    }

    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task AnAnswerLostAfterTheServiceReadTheRequestIsNotSafeToRepeat(string scope)
    {
        var seen = 0;
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.SkipBodyAsync();
            Interlocked.Increment(ref seen);
            call.Reset();
        });
        (await Client.PostAsync(sites.At1, "/", "{}", scope)).Problem(502, "respond", false);
        Assert.Equal(1, seen);

        // Nor is it tried at another site, where it would be carried out twice.
        (await Client.PostAsync(sites.At1, "/", "{}", $"{scope} ; Site1")).Problem(502, "respond", false);
        Assert.Equal(2, seen);
    }

    [Fact]
    public async Task ARequestUnderWayWhenTheOtherAgentDiesIsToldAsLost()
    {
        var arrived = new TaskCompletionSource();
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (site == "Site1")
            {
                await call.AnswerAsync(200, site);
                return;
            }

            await call.SkipBodyAsync();
            arrived.TrySetResult();
            await call.GoneAsync();
        });
        var asked = Client.PostAsync(sites.At1, "/", "{}", "Site2");
        await arrived.Task.WaitAsync(Wait.Long);
        await sites.Site2.KillAsync();
        var answer = await Wait.ForAsync(asked, "the lost request is answered", TimeSpan.FromSeconds(15));
        Assert.Equal(502, answer.Status);
        Assert.False(answer.Json.GetProperty("retrySafe").GetBoolean());
    }

    private static async Task RefusedAtOnceAsync(ApiSites sites)
    {
        var started = Stopwatch.GetTimestamp();
        (await Client.PostAsync(sites.At1, "/", "{}", "Site2")).Problem(503, "forward", true);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, AtOnce);
    }
}
