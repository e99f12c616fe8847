namespace Cheops.Tests.System.Replication;

/// <summary>Services that answer an error after they executed, or refuse.</summary>
public sealed class UnrulyServiceTests
{
    [Fact]
    public async Task A500ThatWasExecutedAllTheSameIsFoundByLooking()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        for (var site = 1; site <= 3; site++)
        {
            var service = sites.Of(site);
            service.Behaviour = async (call, execute) =>
            {
                service.Behaviour = null;
                execute();
                await call.AnswerJsonAsync(500, "{}");
            };
        }

        var metaId = await sites.CreatedAsync(1, "executed");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("executed", metaId, 1, 2, 3);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(409)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task WhatTheDecidingSitesServiceDoesNotDoIsNowhere(int status)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        sites.Of(1).Behaviour = (call, _) => call.AnswerJsonAsync(status, """{"why":"no"}""");
        var answer = await sites.CreateAsync(1, "refused");
        Assert.Equal(status, answer.Status);
        Assert.Equal("no", answer.Json.GetProperty("why").GetString());
        await sites.QuietAsync();
        sites.AssertNowhere("refused");

        // The same from another site, whose service is well, is no repetition of it.
        sites.Of(1).Behaviour = null;
        var metaId = await sites.CreatedAsync(2, "refused");
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("refused", metaId, 1, 2, 3);
    }

    [Fact]
    public async Task AServiceThatIsNotThereChangesNothingAnywhere()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        var metaId = await sites.CreatedAsync(1, "before");
        await sites.QuietAsync();
        await sites.Of(1).DisposeAsync();
        (await sites.CreateAsync(1, "refused")).Problem(503, "apply", true);
        await sites.QuietAsync();
        sites.AssertNowhere("refused");

        // What another site decides waits for the service, and says so.
        Assert.Equal(200, (await sites.PutAsync(2, metaId, "before", "after")).Status);
        await sites.WaitsForAsync(1);
    }
}
