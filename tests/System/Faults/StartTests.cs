using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>What an agent that cannot start says, and what it leaves behind: nothing.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task EveryMistakeIsToldAtOnceByName()
    {
        foreach (var command in (string[])["agent", "check"])
        {
            var ran = await Commands.RunAsync([Places.Cheops, command], new Dictionary<string, string>
            {
                ["CHEOPS_SITE"] = "9lives",
                ["CHEOPS_SERVICES"] = "api@nowhere=ftp://x,ok@127.0.0.1:18000=http://127.0.0.1:1",
                ["CHEOPS_PEERS"] = "Site2@",
                ["CHEOPS_LOG"] = "loud",
                ["CHEOPS_DATA"] = "relative",
                ["CHEOPS_TLS_CERT"] = "/nonexistent.crt",
                ["CHEOPS_SERVICE"] = "x",
            });
            Assert.NotEqual(0, ran.ExitCode);
            foreach (var name in (string[])["CHEOPS_SITE", "CHEOPS_SERVICES", "CHEOPS_PEERS", "CHEOPS_LOG", "CHEOPS_DATA", "CHEOPS_TLS_", "CHEOPS_SERVICE"])
                Assert.Contains(name, ran.Output + ran.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task AnAddressInUseIsToldAndNothingElseIsServed()
    {
        var address = Places.NewAddress();
        await using var taken = new RestService(call => call.AnswerAsync(200), address, 18001);
        var site = new Site("Site1", address);
        await using (site)
        {
            site.Services.Add(new FrontedService("first", "http://127.0.0.1:1", 18000));
            site.Services.Add(new FrontedService("second", "http://127.0.0.1:1", 18001));
            await using var agent = Daemon.Start([Places.Cheops, "agent"], site.Environment());
            Assert.NotEqual(0, await agent.WaitAsync());
            Assert.Contains($"{address}:18001", agent.Log, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task TwoAgentsDoNotShareADataDirectory()
    {
        await using var site = new Site("Site1", Places.NewAddress());
        site.Services.Add(new FrontedService("api", "http://127.0.0.1:1", 18000));
        await site.StartAsync();
        await using var other = new Site("Site1", Places.NewAddress());
        other.Services.Add(new FrontedService("api", "http://127.0.0.1:1", 18000));
        other.Settings["CHEOPS_DATA"] = Path.Combine(site.Directory, "data");
        await using var agent = Daemon.Start([Places.Cheops, "agent"], other.Environment());
        Assert.NotEqual(0, await agent.WaitAsync());
        Assert.Contains(Path.Combine(site.Directory, "data"), agent.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OneSiteAloneNeedsNoNats()
    {
        await using var site = new Site("Alone", Places.NewAddress());
        await using var service = new RestService(call => call.AnswerAsync(200, "hello"));
        site.Services.Add(new FrontedService("api", service.Url, 18000));
        site.Settings["CHEOPS_NATS_SERVER"] = "/nonexistent/nats-server";
        await site.StartAsync();
        Assert.Equal("hello", (await Client.GetAsync(site.Of("api"), "/")).Body);
        Assert.Empty(site.Agent.Children());
    }
}
