using Cheops.Agent.Hosting;
using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Store.Log;

namespace Cheops.Tests.Unit.Hosting;

public sealed class ReplicationStoresTests : IDisposable
{
    private readonly DirectoryInfo _parent = Directory.CreateTempSubdirectory("cheops-test-");
    private readonly List<string> _told = [];
    private readonly List<string> _warnings = [];

    public void Dispose() => _parent.Delete(recursive: true);

    private async Task<string> OpenedAsync()
    {
        using var data = DataDirectory.Open(_parent.FullName);
        await using var stores = await ReplicationStores.OpenAsync(data, TimeProvider.System, _told.Add, _warnings.Add);
        await stores.Table.DisposeAsync();
        return data.Incarnation;
    }

    private async Task AppendAsync(GroupRecordKind kind, ulong index)
    {
        await using var log = FasterOperationLog.Open(Path.Combine(_parent.FullName, "log"));
        await log.WaitDurableAsync(await log.AppendAsync(new LogRecord { Kind = (byte)kind, Group = new GroupId(7), Index = index, Term = 1 }));
    }

    [Fact]
    public async Task What_was_recovered_is_told()
    {
        await OpenedAsync();
        await AppendAsync(GroupRecordKind.Vote, 0);
        await AppendAsync(GroupRecordKind.Vote, 0);
        await OpenedAsync();
        Assert.StartsWith("recovered 0 records of the operation log", _told[0], StringComparison.Ordinal);
        Assert.Matches("^recovered 2 records of the operation log .*, groups: 1, and 0 entries of the replicant table .* in [0-9]+ ms$", _told[1]);
    }

    [Fact]
    public async Task A_table_that_is_gone_is_filled_from_a_log_that_goes_back_to_its_beginning()
    {
        var before = await OpenedAsync();
        await AppendAsync(GroupRecordKind.Vote, 0);
        Directory.Delete(Path.Combine(_parent.FullName, "table"), recursive: true);
        Assert.Equal(before, await OpenedAsync());
        Assert.Empty(_warnings);
    }

    [Fact]
    public async Task With_a_log_that_does_not_the_data_begin_anew()
    {
        var before = await OpenedAsync();
        await AppendAsync(GroupRecordKind.Begin, 10);
        Directory.Delete(Path.Combine(_parent.FullName, "table"), recursive: true);
        var after = await OpenedAsync();
        Assert.NotEqual(before, after);
        Assert.Contains(_warnings, warning => warning.Contains("does not go back", StringComparison.Ordinal));
        Assert.Contains(_warnings, warning => warning.Contains("new incarnation", StringComparison.Ordinal));

        // Once: the next start finds data that fit together.
        _warnings.Clear();
        Assert.Equal(after, await OpenedAsync());
        Assert.Empty(_warnings);
    }
}
