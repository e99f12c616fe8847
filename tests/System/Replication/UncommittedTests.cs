using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>The leader is killed while it alone has an operation in its log: it was not committed, and may still come to be.</summary>
public sealed class UncommittedTests
{
    private const int TriesMax = 5;

    [Fact]
    public async Task WhatTheOthersPassOverIsNowhereAndOnceWhenItIsSentAgain()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        var id = await AppendAtTheLeaderAloneAsync(sites, cut: [1]);
        await sites.Mesh[1].KillAsync();
        sites.AssertNowhere("held");

        // What the two agree on takes its place in the log.
        var meanwhile = await sites.CreatedAsync(2, "meanwhile");
        await sites.Mesh[1].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        sites.AssertNowhere("held");
        for (var site = 1; site <= 3; site++)
        {
            var told = await sites.OperationAsync(site, id);
            Assert.True(told.Status == 404, $"Site{site}: {told.Status} {told.Body}");
        }

        var metaId = await sites.CreatedAsync(1, "held");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("meanwhile", meanwhile, 1, 2, 3);
        await sites.AssertReplicatedAsync("held", metaId, 1, 2, 3);
    }

    [Fact]
    public async Task WhatTheLeaderBringsBackIsCommittedAndCarriedOutOnceWithoutBeingSentAgain()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");

        // Each of the others is alone, so that none of them leads.
        var id = await AppendAtTheLeaderAloneAsync(sites, cut: [2, 3]);
        await sites.Mesh[1].KillAsync();
        sites.AssertNowhere("held");

        // Of Site1 and Site2 only Site1, which has more, can lead.
        await sites.Mesh[3].KillAsync();
        Daemon.Signal(sites.Mesh[2].NatsServer(), Daemon.SigCont);
        await sites.Mesh[1].StartAsync();
        await Wait.UntilAsync("it is carried out", () => sites.Of(2).Things.Any(thing => thing.Key == "held"), more: sites.Mesh.Logs);
        await sites.Mesh[3].StartAsync();
        await sites.Mesh.LinkedAsync();
        await sites.QuietAsync();
        for (var site = 1; site <= 2; site++)
        {
            var told = await sites.OperationAsync(site, id);
            Assert.True(told.Status == 200, $"Site{site}: {told.Status} {told.Body}\n{sites.Mesh.Logs()}");
            Assert.Equal(("accepted", true), (told.Json.GetProperty("decision").GetString(), told.Json.GetProperty("finished").GetBoolean()));
        }

        await sites.AssertReplicatedAsync("held", null, 1, 2, 3);
    }

    // Site1 leads, no majority hears it any more and it does not know that yet: it appends a create of "held", and its client is
    // told that nobody knows what becomes of it. Tells the operation's id.
    private static async Task<string> AppendAtTheLeaderAloneAsync(NumbersSites sites, int[] cut)
    {
        for (var tries = 1; ; tries++)
        {
            await sites.QuietAsync();
            await sites.LeadAsync(1);
            var before = (await sites.GroupAsync(1)).GetProperty("lastIndex").GetInt64();
            int[] frozen = [.. cut.Select(site => sites.Mesh[site].NatsServer())];
            foreach (var pid in frozen) Daemon.Signal(pid, Daemon.SigStop);
            var answer = await sites.CreateAsync(1, "held");
            if (answer.Status == 504)
            {
                var problem = answer.Problem(504, "replicate", false);
                Assert.Equal("Unknown", problem.GetProperty("reason").GetString());
                var group = await sites.GroupAsync(1);
                Assert.True(group.GetProperty("lastIndex").GetInt64() > before, $"{before}: {group}");
                return problem.GetProperty("operation").GetString()!;
            }

            // On a machine that stood still meanwhile the cut was known before: nothing was appended, and the client was told so.
            answer.Problem(503, "replicate", true);
            Assert.True(tries < TriesMax, $"{tries} times the cut was known before: {answer.Body}\n{sites.Mesh.Logs()}");
            foreach (var pid in frozen) Daemon.Signal(pid, Daemon.SigCont);
            await sites.Mesh.LinkedAsync();
        }
    }
}
