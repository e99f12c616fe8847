using Cheops.Store.Log;
using Cheops.Store.Log.Segments;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>The log on FASTER over a simulated disk: lost and torn writes, flipped bits, a full and a broken disk.</summary>
public sealed class FasterOperationLogTests : OperationLogContract, IDisposable
{
    private static readonly OperationLogOptions Small = new()
    {
        PageSizeBits = 14,
        MemorySizeBits = 17,
        SegmentSizeBits = 16,
        InFlightSizeMax = 48 * 1024,
        ReserveSize = 32 * 1024,
    };

    private MemorySegmentFiles _disk = new(1 << 16);

    public void Dispose() => _disk.Dispose();

    protected override int PayloadSizeMax => Small.PayloadSizeMax;

    protected override int ReserveSize => Small.ReserveSize;

    protected override IOperationLog Make() => FasterOperationLog.Open(_disk, null, Small);

    protected override async Task<IOperationLog> CrashAsync(IOperationLog log, Random chance, LogRecordVisitor visit)
    {
        _disk = _disk.Crash(chance);
        await log.DisposeAsync();
        return FasterOperationLog.Open(_disk, visit, Small);
    }

    protected override void Limit(IOperationLog log, long? bytes) =>
        _disk.SegmentsMax = bytes is { } more ? _disk.List().Count + (int)(more >> 16) : int.MaxValue;

    private async Task<List<long>> FillAsync(int count, int size = 700)
    {
        var positions = new List<long>();
        for (var i = 1UL; i <= (ulong)count; i++) positions.Add(await Log.AppendAsync(Record(i, size)));
        await Log.WaitDurableAsync(positions[^1]);
        return positions;
    }

    [Fact]
    public async Task One_sync_serves_all_that_wait()
    {
        await FillAsync(1);
        var before = _disk.Syncs;
        await Task.WhenAll(Enumerable.Range(0, 64).Select(async i => await Log.WaitDurableAsync(await Log.AppendAsync(Record((ulong)i, 10)))));
        Assert.InRange(_disk.Syncs - before, 1, 64);
        var many = _disk.Syncs;
        var positions = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Log.AppendAsync(Record((ulong)i, 10)).AsTask()));
        await Log.WaitDurableAsync(positions.Max());
        Assert.True(_disk.Syncs - many < 100, $"{_disk.Syncs - many} syncs for 200 records");
    }

    [Fact]
    public async Task A_flipped_bit_ends_the_log_there_and_is_told()
    {
        var chance = new Random(11);
        for (var round = 0; round < 40; round++)
        {
            _disk = new MemorySegmentFiles(1 << 16);
            await Log.DisposeAsync();
            Log = Make();
            var count = chance.Next(1, 300);
            var positions = await FillAsync(count, chance.Next(0, 900));
            var end = Log.DurableUntil;
            var hit = chance.Next(count);
            // Anywhere from the length that FASTER puts before the record to the record's last byte.
            var at = positions[hit] + chance.Next(4 + 52);
            _disk = _disk.Crash(chance);
            await Log.DisposeAsync();
            _disk.FlipBit((int)(at >> 16), at & 0xFFFF, chance.Next(8));

            var found = new List<(long Position, ulong Index)>();
            Log = FasterOperationLog.Open(_disk, Collect(found), Small);
            Assert.Equal(positions.Take(hit), found.Select(f => f.Position));
            Assert.Equal(count - hit, Log.Recovery.Damage?.RecordsLost);
            Assert.True(Log.Recovery.Damage!.Position <= positions[hit], $"round {round}");
            Assert.True(Log.DurableUntil <= end);

            // It goes on from there, and is whole the next time.
            for (var i = hit; i < hit + 50; i++) await Log.WaitDurableAsync(await Log.AppendAsync(Record((ulong)i + 1, 300)));
            found.Clear();
            Log = await CrashAsync(Log, chance, Collect(found));
            Assert.Null(Log.Recovery.Damage);
            Assert.Equal(hit + 50, found.Count);
        }
    }

    [Fact]
    public async Task A_changed_length_never_makes_a_record_disappear_unnoticed()
    {
        for (var bit = 0; bit < 32; bit++)
        {
            _disk = new MemorySegmentFiles(1 << 16);
            await Log.DisposeAsync();
            Log = Make();
            var positions = await FillAsync(150, 12);
            _disk = _disk.Crash(new Random(bit));
            await Log.DisposeAsync();
            // FASTER takes a record with a negative length for one of its own, and a length of zero for the page's end.
            _disk.FlipBit(0, positions[100] + (bit / 8), bit % 8);
            var found = new List<(long Position, ulong Index)>();
            Log = FasterOperationLog.Open(_disk, Collect(found), Small);
            Assert.Equal(positions.Take(100), found.Select(f => f.Position));
            Assert.Equal(50, Log.Recovery.Damage?.RecordsLost);
        }
    }

    [Fact]
    public async Task What_is_lost_is_told_before_the_log_looks_whole_again()
    {
        Assert.Throws<InvalidOperationException>(() => FasterOperationLog.Open(new MemorySegmentFiles(1 << 16), null, Small, _ => throw new InvalidOperationException()));
        var positions = await FillAsync(150);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        var at = positions[100] + 10;
        _disk.FlipBit((int)(at >> 16), at & 0xFFFF, 1);
        var told = new List<long?>();
        for (var start = 0; start < 2; start++)
        {
            Assert.Throws<InvalidOperationException>(() => FasterOperationLog.Open(_disk, null, Small, lost =>
            {
                told.Add(lost?.RecordsLost);
                throw new InvalidOperationException("the process ends here");
            }));
            _disk = _disk.Crash(new Random(start));
        }

        Log = FasterOperationLog.Open(_disk, null, Small, lost => told.Add(lost?.RecordsLost));
        Assert.Equal([50, 50, 50], told);
    }

    [Fact]
    public async Task A_lost_segment_is_told()
    {
        var positions = await FillAsync(500);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.Remove(1);
        var found = new List<(long Position, ulong Index)>();
        Log = FasterOperationLog.Open(_disk, Collect(found), Small);
        Assert.Equal(positions.Where(p => p < 1 << 16), found.Select(f => f.Position));
        Assert.Equal(LogDamageReason.Missing, Log.Recovery.Damage?.Reason);
        Assert.Equal(500 - found.Count, Log.Recovery.Damage?.RecordsLost);
    }

    [Fact]
    public async Task A_damaged_slot_is_told_and_the_other_one_counts()
    {
        await FillAsync(100);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FlipSlotBit(0, 20, 3);
        Log = FasterOperationLog.Open(_disk, null, Small);
        Assert.Equal(LogDamageReason.CommitSlot, Log.Recovery.Damage?.Reason);
        await FillAsync(10);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FlipSlotBit(0, 20, 3);
        _disk.FlipSlotBit(1, 30, 1);
        var e = Assert.Throws<OperationLogException>(() => FasterOperationLog.Open(_disk, null, Small));
        Assert.Equal(OperationLogError.Damaged, e.Error);
        Log = new MemoryOperationLog();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_disk_that_fails_ends_the_appending_and_not_the_reading(bool writes)
    {
        var positions = await FillAsync(20);
        if (writes) _disk.FailWrites = true;
        else _disk.FailSyncs = true;
        var lost = await Log.AppendAsync(Record(21));
        var e = await Assert.ThrowsAsync<OperationLogException>(async () => await Log.WaitDurableAsync(lost));
        Assert.Equal(OperationLogError.Failed, e.Error);
        _disk.FailWrites = _disk.FailSyncs = false;
        Assert.Equal(OperationLogError.Failed, (await Assert.ThrowsAsync<OperationLogException>(async () => await Log.AppendAsync(Record(22)))).Error);
        Assert.Equal(20UL, (await Log.ReadAsync(positions[^1])).Index);

        var found = new List<(long Position, ulong Index)>();
        Log = await CrashAsync(Log, new Random(1), Collect(found));
        Assert.True(found.Count >= 20);
        Assert.Null(Log.Recovery.Damage);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_read_is_no_reason_to_cut_the_log()
    {
        await FillAsync(500);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FailReads = true;
        Assert.Equal(OperationLogError.Failed, Assert.Throws<OperationLogException>(() => FasterOperationLog.Open(_disk, null, Small)).Error);
        _disk.FailReads = false;
        Log = FasterOperationLog.Open(_disk, null, Small);
        Assert.Equal(500, Log.Recovery.Records);
        Assert.Null(Log.Recovery.Damage);
    }

    [Fact]
    public async Task An_append_that_was_cancelled_while_it_waited_is_not_in_the_log()
    {
        using var stop = new CancellationTokenSource();
        var appended = new List<ulong>();
        var appends = Enumerable.Range(1, 400).Select(i => (Index: (ulong)i, Task: Log.AppendAsync(Record((ulong)i, 5000), i % 2 == 0 ? stop.Token : default).AsTask())).ToArray();
        await stop.CancelAsync();
        var positions = new Dictionary<ulong, long>();
        foreach (var (index, task) in appends)
        {
            try
            {
                positions[index] = await task;
            }
            catch (OperationCanceledException)
            {
                Assert.Equal(0UL, index % 2);
            }
        }

        await Log.WaitDurableAsync(positions.Values.Max());
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        Log = FasterOperationLog.Open(_disk, (long _, in Proto.Operations.LogRecord r, ReadOnlySpan<byte> _) => appended.Add(r.Index), Small);
        Assert.Equal(positions.Keys.Order(), appended.Order());
    }

    [Fact]
    public async Task Without_room_every_append_that_waits_is_refused()
    {
        _disk.SegmentsMax = _disk.List().Count;
        var record = Record(1, 1000);
        var refused = new List<OperationLogError>();
        var appends = new List<Task>();
        for (var i = 0; i < 2000; i++)
        {
            try
            {
                appends.Add(Log.AppendAsync(record).AsTask());
            }
            catch (OperationLogException e)
            {
                refused.Add(e.Error);
            }
        }

        foreach (var append in appends)
        {
            try
            {
                await append;
            }
            catch (OperationLogException e)
            {
                refused.Add(e.Error);
            }
        }

        Assert.InRange(refused.Count, 1900, 2000);
        Assert.All(refused, e => Assert.Equal(OperationLogError.Full, e));
    }
}
