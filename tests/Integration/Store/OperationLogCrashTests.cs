using System.Diagnostics;
using System.Globalization;
using Cheops.Proto.Operations;
using Cheops.Store.Log;
using Cheops.Tests.StoreHost;
using Xunit.Abstractions;

namespace Cheops.Tests.Integration.Store;

/// <summary>The operation log in a process of its own that is killed, and on a disk that is really full.</summary>
public sealed class OperationLogCrashTests(ITestOutputHelper output) : IDisposable
{
    private const int Rounds = 60;

    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-log-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Nothing_acknowledged_is_lost_when_the_process_is_killed()
    {
        var chance = new Random(20261124);
        var acknowledged = new ulong[HostRecords.Groups];
        var total = 0;
        for (var round = 0; round < Rounds; round++)
        {
            total += await AppendAndKillAsync(chance.Next(10) == 0 ? 0 : chance.Next(300), acknowledged);
            await VerifyAsync(round, acknowledged);
        }

        output.WriteLine($"{total} acknowledged records in {Rounds} rounds");
    }

    /// <summary>Runs the host until it has acknowledged so many records, and kills it in the middle of what it does.</summary>
    private async Task<int> AppendAndKillAsync(int count, ulong[] acknowledged)
    {
        using var host = Start("dotnet", [HostPath, "append", _directory]);
        var seen = 0;
        while (await host.StandardOutput.ReadLineAsync() is { } line)
        {
            // The last line may be cut off by the kill; the newline is written with it, so a line that is here is whole.
            if (line.Split(' ') is ["ack", var group, var index])
            {
                acknowledged[int.Parse(group, CultureInfo.InvariantCulture)] = ulong.Parse(index, CultureInfo.InvariantCulture);
                seen++;
            }
            else
            {
                Assert.StartsWith("open ", line, StringComparison.Ordinal);
            }

            if (seen >= count) host.Kill();
        }

        await host.WaitForExitAsync();
        Assert.Equal(128 + 9, host.ExitCode);
        return seen;
    }

    private async Task VerifyAsync(int round, ulong[] acknowledged)
    {
        var last = new ulong[HostRecords.Groups];
        await using var log = FasterOperationLog.Open(_directory, (long position, in LogRecord record, ReadOnlySpan<byte> payload) =>
        {
            var group = (int)(record.Group.Value - 1);
            Assert.True(HostRecords.IsWhole(record, payload), $"round {round}, position {position}");
            if (last[group] != 0) Assert.Equal(last[group] + 1, record.Index);
            last[group] = record.Index;
        });
        Assert.Null(log.Recovery.Damage);
        for (var group = 0; group < HostRecords.Groups; group++)
        {
            // A group none of whose records is left had them all let go of.
            Assert.True(
                last[group] >= acknowledged[group] || (last[group] == 0 && log.Recovery.Records > 0 && group > 0),
                $"round {round}, group {group}: {acknowledged[group]} was acknowledged, {last[group]} is there");
        }
    }

    [Fact]
    public async Task A_disk_that_is_really_full_refuses_and_recovers_when_there_is_room()
    {
        // A file system of its own, with room for two segments and a half.
        var script = $"mount -t tmpfs -o size=10m none '{_directory}' && exec dotnet '{HostPath}' fill '{_directory}'";
        using var host = Start("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        var lines = (await host.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var errors = await host.StandardError.ReadToEndAsync();
        await host.WaitForExitAsync();
        Assert.True(host.ExitCode == 0, $"exit code {host.ExitCode}: {string.Join('|', lines)} {errors}");
        Assert.StartsWith("full ", lines[0], StringComparison.Ordinal);
        Assert.Equal("recovered", lines[1]);
        output.WriteLine(lines[0]);
    }

    private static string HostPath => Path.Combine(AppContext.BaseDirectory, "Cheops.Tests.StoreHost.dll");

    private static Process Start(string program, string[] arguments) => Process.Start(new ProcessStartInfo(program, arguments)
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
