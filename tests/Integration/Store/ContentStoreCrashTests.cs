using System.Globalization;
using Cheops.Store.Contents;
using Cheops.Tests.StoreHost;
using Xunit.Abstractions;

namespace Cheops.Tests.Integration.Store;

/// <summary>The content store in a process of its own that is killed, and on a disk that is really full.</summary>
public sealed class ContentStoreCrashTests(ITestOutputHelper output) : IDisposable
{
    private const int Rounds = 25;

    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-contents-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task What_was_completed_is_whole_whenever_the_process_is_killed()
    {
        var chance = new Random(20261124);
        var (acknowledged, resumed) = (0, 0);
        for (var round = 0; round < Rounds; round++)
        {
            var lines = await StoreProcess.RunAndKillAsync("contents", _directory, chance.Next(5));
            foreach (var line in lines.Where(l => l[0] == "ack")) acknowledged = int.Parse(line[1], CultureInfo.InvariantCulture);
            resumed += lines.Count(l => l[0] == "resumed");
            await VerifyAsync(acknowledged);
        }

        output.WriteLine($"{acknowledged} bodies in {Rounds} rounds, {resumed} gone on with");
    }

    private async Task VerifyAsync(int acknowledged)
    {
        await using var store = new FileContentStore(_directory, TimeProvider.System);
        var kept = store.List();
        // One more than was told of: the process was killed before it could.
        Assert.InRange(kept.Count, acknowledged, acknowledged + 1);
        for (var number = 1; number <= kept.Count; number++)
        {
            var body = ContentHost.Body(number);
            await using var reader = store.Open(ContentHash.Of(body));
            Assert.NotNull(reader);
            var read = new byte[reader.Size];
            for (var at = 0; at < read.Length;) at += await reader.ReadAsync(at, read.AsMemory(at));
            Assert.True(body.AsSpan().SequenceEqual(read), $"body {number}");
        }
    }

    [Fact]
    public async Task A_disk_that_is_really_full_refuses_and_recovers_when_there_is_room()
    {
        var lines = await StoreProcess.RunOnSmallDiskAsync("contents-fill", _directory, "5m");
        Assert.StartsWith("full ", lines[0], StringComparison.Ordinal);
        Assert.Equal("recovered", lines[1]);
        output.WriteLine(lines[0]);
    }
}
