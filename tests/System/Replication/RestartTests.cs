using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Replication;

/// <summary>A site that ends without a word right after a create was acknowledged, and what it knows when it is back.</summary>
public sealed class RestartTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task WhatWasCreatedJustBeforeIsChangedAtEverySiteAtOnceAfterTheStart(int leader)
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        await sites.LeadAsync(leader);
        for (var round = 0; round < 3; round++)
        {
            var metaId = await sites.CreatedAsync(1, $"thing-{round}", "1");
            await sites.Mesh[1].KillAsync();
            await sites.Mesh[1].StartAsync();

            // Nothing is said of it but that it is changed, or that nothing was done.
            var answer = await ChangeAsync(sites, metaId, $"thing-{round}");
            Assert.True(answer.Status == 200, $"{answer.Status} {answer.Body}\n{sites.Mesh.Logs()}");
            await sites.Mesh.LinkedAsync();
            await sites.QuietAsync();
            await sites.AssertReplicatedAsync($"thing-{round}", metaId, 1, 2, 3);
            Assert.Equal(["1", "2"], sites.Of(3).ValuesOf($"thing-{round}"));
        }
    }

    [Fact]
    public async Task ASiteThatComesBackAloneServesWhatIsItsOwnAndRefusesWhatItCannotAgreeOn()
    {
        await using var sites = await NumbersSites.StartAsync(3, 3);
        await sites.CreatedAsync(1, "first");
        var metaId = await sites.CreatedAsync(1, "thing", "1");
        await Task.WhenAll(sites.Mesh[1].KillAsync(), sites.Mesh[2].KillAsync(), sites.Mesh[3].KillAsync());
        await sites.Mesh[1].StartAsync();
        Assert.Equal(200, (await sites.PutAsync(1, "1", "local-0", "own")).Status);
        Assert.Equal(201, (await Client.PostAsync(sites.Mesh[1].Of(NumbersSites.Service), "/v1/things", """{"key":"own","value":"1"}""")).Status);
        var refused = await sites.PutAsync(1, metaId, "thing", "alone");
        Assert.True(refused.Status == 503 && refused.Json.GetProperty("retrySafe").GetBoolean(), $"{refused.Status} {refused.Body}\n{sites.Mesh.Logs()}");
        Assert.Equal("1", sites.ThingAt(1, "thing").Value);

        await Task.WhenAll(sites.Mesh[2].StartAsync(), sites.Mesh[3].StartAsync());
        await sites.Mesh.LinkedAsync();
        Assert.Equal(200, (await ChangeAsync(sites, metaId, "thing")).Status);
        await sites.QuietAsync();
        await sites.AssertReplicatedAsync("thing", metaId, 1, 2, 3);
        Assert.Equal(["1", "2"], sites.Of(3).ValuesOf("thing"));
    }

    private static async Task<Answer> ChangeAsync(NumbersSites sites, string metaId, string key)
    {
        Answer? answer = null;
        await Wait.UntilAsync(
            $"{key} is changed",
            async () =>
            {
                answer = await sites.PutAsync(1, metaId, key, "2");
                return answer.Status != 503 || !answer.Json.GetProperty("retrySafe").GetBoolean();
            },
            more: () => $"{answer?.Status} {answer?.Body}\n{sites.Mesh.Logs()}");
        return answer!;
    }
}
