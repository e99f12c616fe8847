using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>A site that joins two that run: they take it over by SIGHUP, and their own link stays up.</summary>
public sealed class ReloadTests : IAsyncLifetime
{
    private readonly string _directory = Places.NewDirectory();
    private readonly RestService _service = new(call => call.AnswerAsync(200, "fine"));
    private readonly Site[] _sites = [.. Enumerable.Range(1, 3).Select(number => new Site($"Site{number}", Places.NewAddress()))];
    private readonly List<Daemon> _agents = [];

    public async Task InitializeAsync()
    {
        var certificates = await MeshCertificates.IssueAsync(_directory, [.. _sites.Select(site => (site.Name, site.Address))]);
        foreach (var site in _sites)
        {
            site.Services.Add(new FrontedService("shop", _service.Url, 18001));
            site.Settings["CHEOPS_MESH_LISTEN"] = site.MeshAddress;
            certificates.SetUp(site.Name, site.Settings);
        }
    }

    public async Task DisposeAsync()
    {
        foreach (var agent in _agents) await agent.DisposeAsync();
        foreach (var site in _sites) await site.DisposeAsync();
        await _service.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private string FileOf(Site site) => Path.Combine(_directory, site.Name + ".env");

    // The settings are in a file, which a reload reads again.
    private void Write(Site site, params Site[] peers)
    {
        var settings = site.Environment();
        settings["CHEOPS_PEERS"] = string.Join(',', peers.Select(peer => $"{peer.Name}@{peer.MeshAddress}"));
        File.WriteAllLines(FileOf(site), settings.Select(setting => $"{setting.Key}={setting.Value}"));
    }

    private Daemon Start(Site site)
    {
        var agent = Daemon.Start([Places.Cheops, "agent", "--env-file", FileOf(site)], new Dictionary<string, string>());
        _agents.Add(agent);
        return agent;
    }

    private Task<Answer> AskAsync(Site at, string scope) => Client.GetAsync(at.Of("shop"), "/", scope);

    private Task AnswersAsync(Site at, string scope) => Wait.UntilAsync(
        $"{at.Name} reaches {scope}", async () => (await AskAsync(at, scope)).Status == 200, more: () => string.Join("\n----\n", _agents.Select(agent => agent.Log)));

    [Fact]
    public async Task ASiteJoinsAndLeavesWhileTheOthersRun()
    {
        var (one, two, three) = (_sites[0], _sites[1], _sites[2]);
        Write(one, two);
        Write(two, one);
        var (first, second) = (Start(one), Start(two));
        await AnswersAsync(one, "Site2");
        Assert.Equal(422, (await AskAsync(one, "Site3")).Status);

        Write(three, one, two);
        Write(one, two, three);
        Write(two, one, three);
        Start(three);
        first.Signal(Daemon.SigHup);
        second.Signal(Daemon.SigHup);
        await AnswersAsync(one, "Site3");
        await AnswersAsync(three, "Site1");
        await AnswersAsync(two, "Site3");
        Assert.Equal(1, await one.MetricAsync("cheops_nats_server_starts_total"));
        Assert.Equal(1, await two.MetricAsync("cheops_nats_server_starts_total"));

        Write(one, two);
        first.Signal(Daemon.SigHup);
        await Wait.UntilAsync("Site3 is no site of Site1's", async () => (await AskAsync(one, "Site3")).Status == 422, more: () => first.Log);
        await AnswersAsync(one, "Site2");
        Assert.Contains("event=PeersChanged", first.Log, StringComparison.Ordinal);
    }
}
