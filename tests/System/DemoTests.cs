using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System;

/// <summary>What the first screen of the README promises: scripts/demo shows everything, twice in a row, and cleans up.</summary>
public sealed class DemoTests
{
    [Fact]
    public async Task TheDemoShowsWhatItPromisesTwice()
    {
        for (var time = 1; time <= 2; time++)
        {
            var demo = await Commands.RunAsync(
                [Path.Combine(Places.Repository, "scripts", "demo")], new Dictionary<string, string> { ["CHEOPS_BIN"] = Places.Cheops }, TimeSpan.FromMinutes(4));
            Assert.True(demo.ExitCode == 0, demo.All);
            Assert.Contains("everything was as expected", demo.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("✗", demo.Output, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.EnumerateFiles(Path.Combine(Places.Repository, ".work", "demo", "run")));
    }
}
