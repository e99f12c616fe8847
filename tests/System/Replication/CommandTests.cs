using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>The commands that show replication and change it, as a person at one of the sites uses them.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task WhoLeadsAGroupIsShownAndChosen()
    {
        await using var sites = await NumbersSites.StartAsync(3, 2);
        await sites.CreatedAsync(1, "first");
        await sites.QuietAsync();
        foreach (var (at, leader) in ((int, string)[])[(1, "Site2"), (3, "Site1")])
        {
            // A group that nobody uses has no leader after a while: it is asked for again until it is seen.
            var table = "";
            await Wait.UntilAsync(
                $"Site{at} shows that {leader} leads",
                async () =>
                {
                    var led = (await sites.Mesh[at].CheopsAsync("replicants", "lead", "Site2&Site1", leader)).Succeeded();
                    Assert.Equal($"{leader} leads Site1 & Site2\n", led.Output);
                    table = (await sites.Mesh[at].CheopsAsync("groups")).Succeeded().Output;
                    return Regex.IsMatch(table, $"(?m)^Site1 & Site2 +Site3 +{leader} +awake +[0-9]+ +[0-9]+ +[0-9]+ +0 +0 +-$");
                },
                more: () => $"{table}\n{sites.Mesh.Logs()}");
        }

        using var json = JsonDocument.Parse((await sites.Mesh[2].CheopsAsync("groups", "-o", "json")).Succeeded().Output);
        var group = Assert.Single(json.RootElement.GetProperty("groups").EnumerateArray());
        Assert.Equal(["Site1", "Site2"], group.GetProperty("sites").EnumerateArray().Select(site => site.GetString()));
        Assert.Equal("Site3", group.GetProperty("witness").GetString());
        Assert.InRange(group.GetProperty("commitIndex").GetInt64(), 1, long.MaxValue);

        // A witness carries out nothing, and orders nothing; and only groups that there are can be led.
        Assert.Equal(1, (await sites.Mesh[1].CheopsAsync("replicants", "lead", "Site1 & Site2", "Site3")).ExitCode);
        var unknown = await sites.Mesh[1].CheopsAsync("replicants", "lead", "Site1 & Site3", "Site1");
        Assert.Equal(2, unknown.ExitCode);
        Assert.Contains("has no group Site1 & Site3", unknown.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OperationsAreWatchedAndWaitedFor()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "thing");
        await sites.QuietAsync();
        await using var table = Watch(sites.Mesh[1]);
        await using var json = Watch(sites.Mesh[1], "-o", "json");
        await Wait.UntilAsync("both watch", () => table.Log.Contains("OPERATION", StringComparison.Ordinal) && Documents(json).Count > 0, more: () => table.Log + json.Log);

        var hold = new Hold(sites.Of(2), isExecuted: false);
        var id = (await sites.PutAsync(1, metaId, "thing", "1")).Fields["Cheops-Operation"];
        await hold.Arrived;
        await Wait.UntilAsync(
            "both show the operation, and for whom it waits",
            () => Regex.IsMatch(table.Log, $"(?m)^{id} .*PUT /v1/things/{metaId} +accepted \\(Site1\\) +Site1=applied; Site2=pending; Site3=applied$")
                && Documents(json).Any(document => document.GetProperty("operations").EnumerateArray().Any(one => StepAt(one, "Site2") == "pending" && StepAt(one, "Site3") == "applied")),
            more: () => table.Log + json.Log);

        // Who waits for less time than it takes is told how it stands; who waits longer, that it is over.
        var early = await sites.OperationAsync(3, id, waitSeconds: 1);
        Assert.Equal((200, false, "pending"), (early.Status, early.Json.GetProperty("finished").GetBoolean(), StepAt(early.Json, "Site2")));
        var late = sites.OperationAsync(3, id, waitSeconds: 40);
        hold.Release();
        Assert.Equal((200, true, "applied"), ((await late).Status, (await late).Json.GetProperty("finished").GetBoolean(), StepAt((await late).Json, "Site2")));
        await Wait.UntilAsync(
            "both show that nothing is open",
            () => table.Log.LastIndexOf(id, StringComparison.Ordinal) < table.Log.LastIndexOf("OPERATION", StringComparison.Ordinal) && Documents(json)[^1].GetProperty("operations").GetArrayLength() == 0,
            more: () => table.Log + json.Log);
        Assert.False(table.HasExited);
        await sites.AssertReplicatedAsync("thing", metaId, 1, 2, 3);

        // Until interrupted, or until there is nobody to ask.
        table.Signal(Daemon.SigTerm);
        await table.WaitAsync();
        await sites.Mesh[1].KillAsync();
        Assert.Equal(3, await json.WaitAsync());
    }

    [Fact]
    public async Task WhatFailedAtASiteIsTriedAgainOrSaidToBeDone()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "thing");
        await sites.QuietAsync();

        // Refused once: tried again from another site, it is carried out there.
        sites.Of(2).Behaviour = (call, _) =>
        {
            sites.Of(2).Behaviour = null;
            return call.AnswerJsonAsync(400, """{"why":"not today"}""");
        };
        var id = (await sites.PutAsync(1, metaId, "thing", "1")).Fields["Cheops-Operation"];
        await FailedAsync(sites, id, """Site1=applied; Site2=failed \(400: \{"why":"not today"\}\); Site3=applied""");
        using (var retried = JsonDocument.Parse((await sites.Mesh[1].CheopsAsync("operations", "retry", id, "--site", "Site2", "-o", "json")).Succeeded().Output))
            Assert.Equal(id, retried.RootElement.GetProperty("id").GetString());
        await sites.QuietAsync();
        Assert.Equal(["0", "1"], sites.Of(2).ValuesOf("thing"));
        await sites.AssertReplicatedAsync("thing", metaId, 1, 2, 3);

        // Executed, and refused all the same: whoever looks says so, and which id it has got there.
        sites.Of(2).Behaviour = (call, execute) =>
        {
            sites.Of(2).Behaviour = null;
            execute();
            return call.AnswerJsonAsync(409, """{"why":"no reason"}""");
        };
        var created = await sites.CreateAsync(1, "odd");
        id = created.Fields["Cheops-Operation"];
        await FailedAsync(sites, id, """Site1=applied; Site2=failed \(409: .*\); Site3=applied""");
        var local = sites.ThingAt(2, "odd").Id.ToString(CultureInfo.InvariantCulture);
        (await sites.Mesh[2].CheopsAsync("operations", "done", id, "--local-id", local)).Succeeded();
        await sites.QuietAsync();
        Assert.Equal(200, (await sites.PutAsync(3, NumbersSites.MetaIdOf(created), "odd", "1")).Status);
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("odd", NumbersSites.MetaIdOf(created), 1, 2, 3);
        Assert.Equal(22, sites.Of(2).Made);

        // What is well needs no person, and what is not known is told as such.
        var again = await sites.Mesh[2].CheopsAsync("operations", "retry", id);
        Assert.Equal(1, again.ExitCode);
        Assert.Contains("the operation is applied at Site2", again.Error, StringComparison.Ordinal);
        var unknown = await sites.Mesh[2].CheopsAsync("operations", "done", new string('0', 32));
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains("no operation", unknown.Error, StringComparison.Ordinal);
    }

    private static Task FailedAsync(NumbersSites sites, string id, string steps)
    {
        var table = "";
        return Wait.UntilAsync(
            $"{id} is shown as failed at Site2",
            async () => Regex.IsMatch(table = (await sites.Mesh[1].CheopsAsync("operations")).Succeeded().Output, $"(?m)^{id} .* accepted \\(Site1\\) +{steps}$"),
            more: () => $"{table}\n{sites.Mesh.Logs()}");
    }

    private static Daemon Watch(Site site, params string[] more) => Daemon.Start([Places.Cheops, "operations", "--watch", .. more], site.Environment());

    private static string? StepAt(JsonElement operation, string site) => operation.GetProperty("sites").GetProperty(site).GetProperty("step").GetString();

    // One after the other; the last may not be whole yet.
    private static IReadOnlyList<JsonElement> Documents(Daemon watch)
    {
        var texts = watch.Log.Split("\n}\n", StringSplitOptions.None)[..^1];
        return [.. texts.Select(text => JsonDocument.Parse($"{text}\n}}").RootElement)];
    }
}
