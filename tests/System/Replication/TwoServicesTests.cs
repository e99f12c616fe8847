using System.Globalization;
using System.Text.Json;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>Two services at each site, one of which is down at one site for long: the other goes on there, and what waits is done when it is back.</summary>
public sealed class TwoServicesTests : IAsyncDisposable
{
    private const int Things = 300;
    private const int Changed = 20;
    private const string Letters = "letters";

    private readonly List<NumbersService> _letters = [];

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _letters) await service.DisposeAsync();
    }

    [Fact]
    public async Task WhatWaitsForAServiceThatIsDownHoldsUpNoOther()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3, SetUp);
        await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();
        await sites.Of(2).DisposeAsync();
        var ids = new string[Things];
        await Parallel.ForAsync(0, Things, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (thing, _) =>
        {
            ids[thing] = await sites.CreatedAsync(1, $"thing-{thing}");
            for (var change = 1; change <= 2 && thing < Changed; change++)
            {
                var answer = await sites.PutAsync(1, ids[thing], $"thing-{thing}", change.ToString(CultureInfo.InvariantCulture));
                Assert.True(answer.Status == 200, $"thing {thing}, change {change}: {answer.Status} {answer.Body}");
            }
        });
        await Wait.UntilAsync(
            "all wait at Site2 for its service alone",
            async () =>
            {
                var open = await sites.OperationsAsync(2);
                return open.Count == Things + (2 * Changed) && open.All(IsWaitingAtSite2);
            },
            more: sites.Mesh.Logs);

        // Tables say that there is more than they show.
        Assert.Contains("there are more operations", (await sites.Mesh[2].CheopsAsync("operations", "--limit", "10")).Succeeded().Output, StringComparison.Ordinal);
        Assert.Contains("there are more replicants", (await sites.Mesh[2].CheopsAsync("replicants", "--limit", "10")).Succeeded().Output, StringComparison.Ordinal);
        Assert.DoesNotContain("there are more", (await sites.Mesh[2].CheopsAsync("operations")).Succeeded().Output, StringComparison.Ordinal);

        // Of the other service Site2 decides, refuses and follows; of this one it says at once that it is not there.
        var decided = await MakeAsync(sites, 2, "decided");
        Assert.True(decided.Status == 201, $"{decided.Status}: {decided.Body}\n{sites.Mesh.Logs()}");
        Assert.Equal(201, (await MakeAsync(sites, 1, "followed")).Status);
        await Wait.UntilAsync("Site2 follows", () => _letters[1].Things.Any(thing => thing.Key == "followed"), more: sites.Mesh.Logs);
        _letters[1].Behaviour = (call, _) => call.AnswerJsonAsync(422, """{"why":"no"}""");
        var refused = await MakeAsync(sites, 2, "refused");
        Assert.True(refused.Status == 422, $"{refused.Status}: {refused.Body}");
        _letters[1].Behaviour = null;
        (await sites.CreateAsync(2, "nowhere")).Problem(503, "apply", true);

        sites.Of(2).ComeBack();
        await sites.QuietAsync();
        for (var thing = 0; thing < Things; thing++) await sites.AssertReplicatedAsync($"thing-{thing}", ids[thing], 1, 2, 3);
        Assert.Equal(["0", "1", "2"], sites.Of(2).ValuesOf("thing-0"));
        sites.AssertNowhere("nowhere");
        foreach (var letters in _letters)
        {
            Assert.Single(letters.Things, thing => thing.Key == "decided");
            Assert.Single(letters.Things, thing => thing.Key == "followed");
            Assert.DoesNotContain(letters.Things, thing => thing.Key == "refused");
        }
    }

    private void SetUp(Site site)
    {
        var service = new NumbersService(site.Address, 19001);
        service.MakeLocal(10 * (_letters.Count + 1));
        _letters.Add(service);
        site.Services.Add(new FrontedService(Letters, service.Url, 18001));
        var profile = Path.Combine(site.Directory, "letters.json");
        File.WriteAllText(profile, NumbersSites.Profile.Replace("numbers", Letters, StringComparison.Ordinal));
        site.Settings["CHEOPS_PROFILES"] += $",{profile}";
    }

    private static bool IsWaitingAtSite2(JsonElement operation) => operation.GetProperty("sites").EnumerateObject().All(step =>
        step.Name == "Site2"
            ? step.Value.GetProperty("step").GetString() == "pending" && step.Value.TryGetProperty("waits", out _)
            : step.Value.GetProperty("step").GetString() == "applied");

    private static Task<Answer> MakeAsync(NumbersSites sites, int site, string key) =>
        Client.PostAsync(sites.Mesh[site].Of(Letters), "/v1/things", JsonSerializer.Serialize(new { key, value = "0" }), sites.Scope);
}
