using System.Diagnostics;
using Xunit.Abstractions;

namespace Cheops.Tests.Integration.Groups;

/// <summary>Three members in a process that is killed in the middle of what it does, and started again.</summary>
public sealed class GroupCrashTests(ITestOutputHelper output) : IDisposable
{
    private const int Rounds = 12;

    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-groups-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Nothing_acknowledged_is_lost_or_doubled_when_all_members_are_killed_at_once()
    {
        var chance = new Random(20261125);
        var acknowledged = Path.Combine(_directory, "acknowledged");
        var total = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var seen = await RunAndKillAsync(acknowledged, round == Rounds - 1 ? 0 : chance.Next(1, 300));
            await File.AppendAllLinesAsync(acknowledged, seen);
            total += seen.Count;
        }

        output.WriteLine($"{total} acknowledged entries in {Rounds} rounds");
    }

    // The host checks first that everything acknowledged before is there once, and says so.
    private async Task<List<string>> RunAndKillAsync(string acknowledged, int count)
    {
        var start = new ProcessStartInfo("dotnet", [HostPath, "groups", _directory, acknowledged]) { RedirectStandardOutput = true };
        using var host = Process.Start(start)!;
        var seen = new List<string>();
        var isOpen = false;
        while (await host.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Split(' ') is ["ack", var number]) seen.Add(number);
            else isOpen = line.StartsWith("open ", StringComparison.Ordinal);
            Assert.True(isOpen, line);
            if (seen.Count >= count) host.Kill();
        }

        await host.WaitForExitAsync();
        Assert.Equal(128 + 9, host.ExitCode);
        Assert.True(isOpen, "the host ended before it was open");
        return seen;
    }

    private static string HostPath => Path.Combine(AppContext.BaseDirectory, "Cheops.Tests.StoreHost.dll");
}
