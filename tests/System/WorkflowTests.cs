using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>Two hundred workflows at once, each with a scope of its own: no sub-request ever goes where another's should.</summary>
public sealed class WorkflowTests(ThreeSites sites) : IClassFixture<ThreeSites>
{
    [Theory]
    [InlineData("X-Request-ID")]
    [InlineData("traceparent")]
    public async Task ConcurrentWorkflowsNeverMix(string handedOn)
    {
        for (var round = 0; round < 3; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
            {
                var (at, front, back) = (1 + (i % 3), 1 + (i / 3 % 3), 1 + (i / 9 % 3));
                var answer = await Client.GetAsync(sites.Mesh[at].Of("front"), $"/{i}?{handedOn}", $"{{front: Site{front}, back: Site{back}}}");
                Assert.True(answer.Status == 200, answer.Body);
                Assert.Equal(($"Site{front}", $"Site{back}"), (answer.Json.GetProperty("site").GetString()!, answer.Json.GetProperty("back").GetProperty("site").GetString()!));
            }));
        }
    }
}
