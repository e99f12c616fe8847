using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>A site that ran alone gets its first peer by SIGHUP, and replicates with it without a restart.</summary>
public sealed class FirstPeerTests : IAsyncLifetime
{
    private readonly List<NumbersService> _services = [];
    private readonly Site[] _sites = [.. Enumerable.Range(1, 2).Select(number => new Site($"Site{number}", Places.NewAddress()))];
    private readonly List<Daemon> _agents = [];

    public Task InitializeAsync()
    {
        foreach (var site in _sites)
        {
            var service = new NumbersService(site.Address, 19000);
            _services.Add(service);
            service.MakeLocal(10 * _services.Count);
            site.Services.Add(new FrontedService(NumbersSites.Service, service.Url, 18000));
            var profile = Path.Combine(site.Directory, "numbers.json");
            File.WriteAllText(profile, NumbersSites.Profile);
            site.Settings["CHEOPS_PROFILES"] = profile;
            site.Settings["CHEOPS_MESH_LISTEN"] = site.MeshAddress;
        }

        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        foreach (var agent in _agents) await agent.DisposeAsync();
        foreach (var site in _sites) await site.DisposeAsync();
        foreach (var service in _services) await service.DisposeAsync();
    }

    [Fact]
    public async Task ReplicationOpensWithTheFirstPeer()
    {
        var (one, two) = (_sites[0], _sites[1]);
        var first = Start(one);
        await Wait.UntilAsync("Site1 serves", async () => (await Client.GetAsync(new Uri(one.ApiUrl), "/readyz")).Status == 200, more: () => first.Log);
        Assert.Equal(404, (await Client.GetAsync(new Uri(one.ApiUrl), "/_cheops/v1/groups")).Status);

        // What is under way when replication opens is not disturbed by it.
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _services[0].Behaviour = async (call, execute) =>
        {
            _services[0].Behaviour = null;
            arrived.SetResult();
            await released.Task;
            var (status, body) = execute();
            await call.AnswerJsonAsync(status, body);
        };
        var local = Client.PostAsync(one.Of(NumbersSites.Service), "/v1/things", JsonSerializer.Serialize(new { key = "local", value = "0" }));
        await arrived.Task.WaitAsync(Wait.Long);
        var second = Start(two, one);
        Write(one, two);
        first.Signal(Daemon.SigHup);
        await Task.WhenAll(one.SeesAsync("Site2", "up"), two.SeesAsync("Site1", "up"));
        released.SetResult();
        Assert.Equal(201, (await local).Status);

        var made = await Client.PostAsync(one.Of(NumbersSites.Service), "/v1/things", JsonSerializer.Serialize(new { key = "shared", value = "0" }), "Site1 & Site2");
        Assert.True(made.Status == 201, $"{made.Status}: {made.Body}\n{first.Log}\n----\n{second.Log}");
        await Wait.UntilAsync("Site2 has its replica", () => _services[1].Things.Any(thing => thing.Key == "shared"), more: () => $"{first.Log}\n----\n{second.Log}");
        Assert.DoesNotContain(_services[1].Things, thing => thing.Key == "local");
        Assert.DoesNotContain("new incarnation", first.Log, StringComparison.Ordinal);
    }

    private static string FileOf(Site site) => Path.Combine(site.Directory, "agent.env");

    // The settings are in a file, which a reload reads again.
    private static void Write(Site site, params Site[] peers)
    {
        var settings = site.Environment();
        if (peers.Length > 0) settings["CHEOPS_PEERS"] = string.Join(',', peers.Select(peer => $"{peer.Name}@{peer.MeshAddress}"));
        File.WriteAllLines(FileOf(site), settings.Select(setting => $"{setting.Key}={setting.Value}"));
    }

    private Daemon Start(Site site, params Site[] peers)
    {
        Write(site, peers);
        var agent = Daemon.Start([Places.Cheops, "agent", "--env-file", FileOf(site)], new Dictionary<string, string>());
        _agents.Add(agent);
        return agent;
    }
}
