using Cheops.Store.Log.Segments;
using Cheops.Store.Table;
using Cheops.Tests.Unit.Store.Log;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>
/// The table on a real disk, in its real sizes. What a crash leaves of it is tested with a process that is killed
/// (<c>Integration/Store</c>); here it is closed and opened again.
/// </summary>
public sealed class DiskReplicantTableTests : ReplicantTableContract
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-table-").FullName;
    private LimitedFiles _files = null!;

    protected override IReplicantTable Make()
    {
        var options = new ReplicantTableOptions();
        _files = new LimitedFiles(new DiskSegmentFiles(_directory, (int)options.SegmentSize, "table"));
        return FasterReplicantTable.Open(_files, new DiskSegmentFiles(_directory, FasterReplicantTable.CheckpointSegmentSize, "checkpoint"), options);
    }

    protected override async Task<IReplicantTable> CrashAsync(IReplicantTable table, Random chance)
    {
        await table.DisposeAsync();
        return Make();
    }

    protected override void Limit(IReplicantTable table, bool isFull) => _files.SegmentsMax = isFull ? _files.List().Count : int.MaxValue;

    protected override void Break(IReplicantTable table) => _files.FailWrites = true;

    [Fact]
    public async Task Only_one_process_opens_it()
    {
        var e = Assert.Throws<TableException>(() => FasterReplicantTable.Open(_directory));
        Assert.Equal(TableError.Failed, e.Error);
        Assert.Contains("another agent", e.Message, StringComparison.Ordinal);
        Table.Put(Key(1), [1]);
        await Table.CheckpointAsync(Key(2));
        await Table.DisposeAsync();
        Table = FasterReplicantTable.Open(_directory);
        Assert.Equal([1], Get(Table, Key(1)));
        Assert.Equal(Key(2), Table.Mark.ToArray());
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        _files.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
