using Cheops.Store.Log;
using Cheops.Store.Log.Segments;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>
/// The log on a real disk, in its real sizes. What a crash leaves of it is tested with a process that is killed
/// (<c>Integration/Store</c>); here it is closed and opened again.
/// </summary>
public sealed class DiskOperationLogTests : OperationLogContract, IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-log-").FullName;
    private LimitedFiles _files = null!;

    public void Dispose() => _files.Dispose();

    protected override IOperationLog Make() => Open(null);

    private FasterOperationLog Open(LogRecordVisitor? visit)
    {
        var options = new OperationLogOptions();
        _files = new LimitedFiles(new DiskSegmentFiles(_directory, options.SegmentSize));
        return FasterOperationLog.Open(_files, visit, options);
    }

    protected override async Task<IOperationLog> CrashAsync(IOperationLog log, Random chance, LogRecordVisitor visit)
    {
        await log.DisposeAsync();
        return Open(visit);
    }

    protected override void Limit(IOperationLog log, long? bytes) =>
        _files.SegmentsMax = bytes is { } more ? _files.List().Count + (int)(more >> 22) : int.MaxValue;

    // A segment is as large as what the suite appends: filled up so that letting go of it shows.
    protected override int FillSize => 10_000;

    [Fact]
    public async Task Only_one_process_opens_it()
    {
        var e = Assert.Throws<OperationLogException>(() => FasterOperationLog.Open(_directory));
        Assert.Equal(OperationLogError.InUse, e.Error);
        await Log.DisposeAsync();
        Log = FasterOperationLog.Open(_directory);
    }

    [Fact]
    public async Task A_segment_half_made_is_made_again()
    {
        await Log.DisposeAsync();
        await File.WriteAllTextAsync(Path.Combine(_directory, "log.0"), "short");
        await File.WriteAllTextAsync(Path.Combine(_directory, "log.1.new"), "left over");
        using (var files = new DiskSegmentFiles(_directory, 1 << 16))
        {
            files.Reserve(0);
            files.Reserve(1);
            Assert.Equal([0, 1], files.List());
            files.Write(1, (1 << 16) - 3, new byte[] { 1, 2, 3 });
            files.Sync();
            var read = new byte[5];
            files.Read(1, (1 << 16) - 3, read);
            Assert.Equal([1, 2, 3, 0, 0], read);
            files.Remove(1);
            files.Read(1, (1 << 16) - 3, read);
            Assert.Equal(new byte[5], read);
        }

        Log = new MemoryOperationLog();
        Directory.Delete(_directory, recursive: true);
        Directory.CreateDirectory(_directory);
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
