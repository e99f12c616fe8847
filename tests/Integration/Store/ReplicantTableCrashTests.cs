using System.Globalization;
using System.Text;
using Cheops.Store.Table;
using Cheops.Tests.StoreHost;
using Xunit.Abstractions;

namespace Cheops.Tests.Integration.Store;

/// <summary>The replicant table in a process of its own that is killed, and on a disk that is really full.</summary>
public sealed class ReplicantTableCrashTests(ITestOutputHelper output) : IDisposable
{
    private const int Rounds = 40;

    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-table-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task The_table_is_what_a_checkpoint_was_whenever_the_process_is_killed()
    {
        var chance = new Random(20261124);
        var acknowledged = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var lines = await StoreProcess.RunAndKillAsync("table", _directory, chance.Next(10) == 0 ? 0 : chance.Next(30));
            foreach (var line in lines.Where(l => l[0] == "ack")) acknowledged = int.Parse(line[1], CultureInfo.InvariantCulture);
            await VerifyAsync(round, acknowledged);
        }

        output.WriteLine($"{acknowledged} checkpoints in {Rounds} rounds");
    }

    private async Task VerifyAsync(int round, int acknowledged)
    {
        await using var table = FasterReplicantTable.Open(_directory);
        Assert.Null(table.Damage);
        var mark = HostTable.RoundOf(table.Mark.Span);
        // One more than was told of: the process was killed before it could.
        Assert.True(mark >= acknowledged, $"round {round}: checkpoint {acknowledged} was acknowledged, {mark} is there");
        var expected = HostTable.After(mark);
        Assert.Equal(expected.Count, table.Count);
        var seen = 0;
        table.Visit([], (key, value) =>
        {
            seen++;
            Assert.True(value.SequenceEqual(expected[Encoding.ASCII.GetString(key)]));
            return true;
        });
        Assert.Equal(expected.Count, seen);
    }

    [Fact]
    public async Task A_disk_that_is_really_full_refuses_and_recovers_when_there_is_room()
    {
        var lines = await StoreProcess.RunOnSmallDiskAsync("table-fill", _directory, "30m");
        Assert.StartsWith("full ", lines[0], StringComparison.Ordinal);
        Assert.Equal("recovered", lines[1]);
        output.WriteLine(lines[0]);
    }
}
