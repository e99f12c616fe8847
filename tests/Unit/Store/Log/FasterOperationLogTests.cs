using Cheops.Proto;
using Cheops.Store.Log;
using Cheops.Store.Log.Segments;
using Microsoft.Extensions.Time.Testing;

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

    private readonly FakeTimeProvider _time = new();
    private MemorySegmentFiles _disk = new(1 << 16);

    public void Dispose() => _disk.Dispose();

    protected override int PayloadSizeMax => Small.PayloadSizeMax;

    protected override int ReserveSize => Small.ReserveSize;

    protected override IOperationLog Make() => Open(null);

    private FasterOperationLog Open(LogRecordVisitor? visit, Action<LogDamage?>? beforeRepair = null) => FasterOperationLog.Open(_disk, visit, Small, beforeRepair, _time);

    protected override async Task<IOperationLog> CrashAsync(IOperationLog log, Random chance, LogRecordVisitor visit)
    {
        _disk = _disk.Crash(chance);
        await log.DisposeAsync();
        return Open(visit);
    }

    protected override void Limit(IOperationLog log, long? bytes) =>
        _disk.SegmentsMax = bytes is { } more ? _disk.List().Count + (int)(more >> 16) : int.MaxValue;

    private async Task<List<long>> FillAsync(int count, int size = 700, int first = 1)
    {
        var positions = new List<long>();
        for (var i = (ulong)first; i < (ulong)(first + count); i++) positions.Add(await Log.AppendAsync(Record(i, size)));
        await Log.WaitDurableAsync(positions[^1]);
        return positions;
    }

    // What was acknowledged is told from what was not once a slot tells of it.
    private void LetSlotsTell() => _time.Advance(TimeSpan.FromMilliseconds(Bounds.LogSlotDelayMs));

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
    public async Task A_commit_is_one_sync_and_the_slots_tell_of_it_later()
    {
        var before = (_disk.Syncs, Slots());
        await FillAsync(1);
        Assert.Equal(before.Syncs + 1, _disk.Syncs);
        Assert.Equal(before.Item2, Slots());
        LetSlotsTell();
        Assert.NotEqual(before.Item2, Slots());
        var told = Slots();
        LetSlotsTell();
        Assert.Equal(told, Slots());
    }

    private byte[] Slots()
    {
        var bytes = new byte[2 * ISegmentFiles.SlotSize];
        _disk.ReadSlot(0, bytes);
        _disk.ReadSlot(1, bytes.AsSpan(ISegmentFiles.SlotSize));
        return bytes;
    }

    [Fact]
    public async Task What_was_acknowledged_is_there_although_no_slot_tells_of_it()
    {
        // Records of many sizes: ends of pages and of segments, and what was on its way at the end.
        for (var seed = 0; seed < 200; seed++)
        {
            var chance = new Random(seed);
            _disk = new MemorySegmentFiles(1 << 16);
            await Log.DisposeAsync();
            Log = Make();
            var positions = new List<long>();
            for (var part = 0; part < 4; part++)
            {
                positions.AddRange(await FillAsync(chance.Next(1, 60), chance.Next(0, 8000), positions.Count + 1));
                if (chance.Next(3) == 0) LetSlotsTell();
            }

            for (var i = 1; i < chance.Next(20); i++) await Log.AppendAsync(Record((ulong)(positions.Count + i), chance.Next(2000)));
            var found = new List<(long Position, ulong Index)>();
            Log = await CrashAsync(Log, chance, Collect(found));
            Assert.Null(Log.Recovery.Damage);
            Assert.Equal(positions, found.Select(f => f.Position).Take(positions.Count));

            // What was found is kept whatever happens then.
            var again = new List<(long Position, ulong Index)>();
            Log = await CrashAsync(Log, chance, Collect(again));
            Assert.Equal(found, again);
        }
    }

    [Fact]
    public async Task A_page_that_did_not_reach_the_disk_ends_the_log_although_the_next_one_did()
    {
        var positions = await FillAsync(6, Small.PayloadSizeMax - 64);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.Write((int)(positions[2] >> 16), positions[2] & 0xFFFF, new byte[Small.PageSize]);
        Log = Make();
        Assert.Null(Log.Recovery.Damage);
        Assert.Equal((2, positions[2]), (Log.Recovery.Records, (Log.Recovery.Until + Small.PageSize - 1) & ~(Small.PageSize - 1L)));
    }

    [Fact]
    public async Task What_an_earlier_life_left_behind_the_end_is_never_taken_for_a_record()
    {
        // Records that fill a page each, without a slot that tells of them; the first is damaged, and the ones behind it stand whole on the disk.
        var size = Small.PayloadSizeMax - 64;
        var positions = await FillAsync(6, size);
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FlipBit((int)(positions[2] >> 16), (positions[2] & 0xFFFF) + 60, 1);
        Log = Make();
        Assert.Equal(2, Log.Recovery.Records);
        await Log.WaitDurableAsync(await Log.AppendAsync(Record(3, size)));
        var found = new List<(long Position, ulong Index)>();
        Log = await CrashAsync(Log, new Random(2), Collect(found));
        Assert.Equal([1UL, 2UL, 3UL], found.Select(f => f.Index));
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
            LetSlotsTell();
            var end = Log.DurableUntil;
            var hit = chance.Next(count);
            // Anywhere from the length that FASTER puts before the record to the record's last byte.
            var at = positions[hit] + chance.Next(4 + 52);
            _disk = _disk.Crash(chance);
            await Log.DisposeAsync();
            _disk.FlipBit((int)(at >> 16), at & 0xFFFF, chance.Next(8));

            var found = new List<(long Position, ulong Index)>();
            Log = Open(Collect(found));
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
            LetSlotsTell();
            _disk = _disk.Crash(new Random(bit));
            await Log.DisposeAsync();
            // FASTER takes a record with a negative length for one of its own, and a length of zero for the page's end.
            _disk.FlipBit(0, positions[100] + (bit / 8), bit % 8);
            var found = new List<(long Position, ulong Index)>();
            Log = Open(Collect(found));
            Assert.Equal(positions.Take(100), found.Select(f => f.Position));
            Assert.Equal(50, Log.Recovery.Damage?.RecordsLost);
        }
    }

    [Fact]
    public async Task What_is_lost_is_told_before_the_log_looks_whole_again()
    {
        Assert.Throws<InvalidOperationException>(() => FasterOperationLog.Open(new MemorySegmentFiles(1 << 16), null, Small, _ => throw new InvalidOperationException()));
        var positions = await FillAsync(150);
        LetSlotsTell();
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        var at = positions[100] + 10;
        _disk.FlipBit((int)(at >> 16), at & 0xFFFF, 1);
        var told = new List<long?>();
        for (var start = 0; start < 2; start++)
        {
            Assert.Throws<InvalidOperationException>(() => Open(null, lost =>
            {
                told.Add(lost?.RecordsLost);
                throw new InvalidOperationException("the process ends here");
            }));
            _disk = _disk.Crash(new Random(start));
        }

        Log = Open(null, lost => told.Add(lost?.RecordsLost));
        Assert.Equal([50, 50, 50], told);
    }

    [Fact]
    public async Task What_stands_behind_lost_records_is_not_taken_for_the_next_one()
    {
        // FASTER takes the zeros for a page's end, and goes on with the next page.
        var positions = await FillAsync(100);
        LetSlotsTell();
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.Write(0, positions[10], new byte[Small.PageSize - (positions[10] & (Small.PageSize - 1))]);
        var found = new List<(long Position, ulong Index)>();
        Log = Open((long position, in Proto.Operations.LogRecord record, ReadOnlySpan<byte> _) => found.Add((position, record.Index)));
        Assert.Equal(positions.Take(10), found.Select(f => f.Position));
        Assert.Equal((LogDamageReason.Missing, 90L), (Log.Recovery.Damage?.Reason, Log.Recovery.Damage?.RecordsLost));
    }

    [Fact]
    public async Task A_lost_segment_is_told()
    {
        var positions = await FillAsync(500);
        LetSlotsTell();
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.Remove(1);
        var found = new List<(long Position, ulong Index)>();
        Log = Open(Collect(found));
        Assert.Equal(positions.Where(p => p < 1 << 16), found.Select(f => f.Position));
        Assert.Equal(LogDamageReason.Missing, Log.Recovery.Damage?.Reason);
        Assert.Equal(500 - found.Count, Log.Recovery.Damage?.RecordsLost);
    }

    [Fact]
    public async Task A_damaged_slot_is_told_and_the_other_one_counts()
    {
        await FillAsync(100);
        LetSlotsTell();
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FlipSlotBit(0, 20, 3);
        Log = Make();
        Assert.Equal(LogDamageReason.CommitSlot, Log.Recovery.Damage?.Reason);
        Assert.Equal(100, Log.Recovery.Records);
        await FillAsync(10);
        LetSlotsTell();
        _disk = _disk.Crash(new Random(1));
        await Log.DisposeAsync();
        _disk.FlipSlotBit(0, 20, 3);
        _disk.FlipSlotBit(1, 30, 1);
        var e = Assert.Throws<OperationLogException>(() => Make());
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
        Assert.Equal(OperationLogError.Failed, Assert.Throws<OperationLogException>(() => Make()).Error);
        _disk.FailReads = false;
        Log = Make();
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
        Log = Open((long _, in Proto.Operations.LogRecord r, ReadOnlySpan<byte> _) => appended.Add(r.Index));
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
