using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Store.Log;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>What every operation log promises.</summary>
public abstract class OperationLogContract : IAsyncLifetime
{
    /// <summary>The log under test.</summary>
    protected IOperationLog Log { get; set; } = null!;

    /// <summary>Makes an empty log.</summary>
    protected abstract IOperationLog Make();

    /// <summary>Stops the log as a crash does, and opens what is left of it.</summary>
    protected abstract Task<IOperationLog> CrashAsync(IOperationLog log, Random chance, LogRecordVisitor visit);

    /// <summary>Lets the disk take about this many bytes more; null lets it take what comes.</summary>
    protected abstract void Limit(IOperationLog log, long? bytes);

    /// <summary>Largest payload that <see cref="Make"/>'s logs take.</summary>
    protected virtual int PayloadSizeMax => Bounds.LogPayloadSizeMax;

    /// <summary>Payload with which a thousand records take several segments.</summary>
    protected virtual int FillSize => 500;

    /// <summary>Room that is kept for what was begun.</summary>
    protected virtual int ReserveSize => Bounds.LogReserveSize;

    public Task InitializeAsync()
    {
        Log = Make();
        return Task.CompletedTask;
    }

    public virtual async Task DisposeAsync() => await Log.DisposeAsync();

    protected static LogRecord Record(ulong index, int size = 100, ulong group = 1) => new()
    {
        Group = new GroupId(group),
        Kind = 1,
        Index = index,
        Term = index / 10,
        Payload = Payload(index, size),
    };

    private static byte[] Payload(ulong index, int size)
    {
        var bytes = new byte[size];
        for (var i = 0; i < size; i++) bytes[i] = (byte)((ulong)(i * 31) + index);
        return bytes;
    }

    protected static void AssertIs(ulong index, LogRecord record, ReadOnlySpan<byte> payload)
    {
        Assert.Equal(index, record.Index);
        Assert.Equal(index / 10, record.Term);
        Assert.True(payload.SequenceEqual(Payload(index, payload.Length)));
    }

    /// <summary>Collects what an opening finds, checking that nothing is missing between the first and the last.</summary>
    protected static LogRecordVisitor Collect(List<(long Position, ulong Index)> found) => (long position, in LogRecord record, ReadOnlySpan<byte> payload) =>
    {
        AssertIs(record.Index, record, payload);
        if (found.Count > 0)
        {
            Assert.Equal(found[^1].Index + 1, record.Index);
            Assert.True(found[^1].Position < position);
        }

        found.Add((position, record.Index));
    };

    [Fact]
    public async Task What_is_appended_is_read_at_its_position()
    {
        var positions = new List<long>();
        for (var i = 0UL; i < 200; i++) positions.Add(await Log.AppendAsync(Record(i, (int)i * 7)));
        await Log.WaitDurableAsync(positions[^1]);
        Assert.True(Log.DurableUntil > positions[^1]);
        for (var i = 0; i < positions.Count; i++)
        {
            var read = await Log.ReadAsync(positions[i]);
            AssertIs((ulong)i, read, read.Payload.Span);
            Assert.Equal(i * 7, read.Payload.Length);
            Assert.Equal((ulong)i + 1, read.Sequence);
        }
    }

    [Fact]
    public async Task The_largest_record_is_taken_and_a_larger_one_refused()
    {
        for (var i = 0UL; i < 5; i++)
        {
            var position = await Log.AppendAsync(Record(i, PayloadSizeMax));
            Assert.Equal(PayloadSizeMax, (await Log.ReadAsync(position)).Payload.Length);
        }

        var tail = Log.Tail;
        var e = await Assert.ThrowsAsync<OperationLogException>(async () => await Log.AppendAsync(Record(9, PayloadSizeMax + 1)));
        Assert.Equal(OperationLogError.TooLarge, e.Error);
        Assert.Equal(tail, Log.Tail);
    }

    [Fact]
    public async Task Where_no_record_is_none_is_read()
    {
        var position = await Log.AppendAsync(Record(1));
        await Log.WaitDurableAsync(position);
        foreach (var wrong in new[] { 0, Log.Tail, Log.Tail + 1000, long.MaxValue })
        {
            var e = await Assert.ThrowsAsync<OperationLogException>(async () => await Log.ReadAsync(wrong));
            Assert.Equal(OperationLogError.NoRecord, e.Error);
        }

        await Assert.ThrowsAsync<OperationLogException>(async () => await Log.ReadAsync(position + 4));
        var truncating = await Assert.ThrowsAsync<OperationLogException>(async () => await Log.TruncateAsync(position + 4));
        Assert.Equal(OperationLogError.NoRecord, truncating.Error);
        Assert.Equal(1UL, (await Log.ReadAsync(position)).Index);
    }

    [Fact]
    public async Task Many_writers_get_each_record_its_own_place()
    {
        const int Writers = 8, Each = 200;
        var positions = await Task.WhenAll(Enumerable.Range(0, Writers).Select(async writer =>
        {
            await Task.Yield();
            var mine = new List<long>();
            for (var i = 0UL; i < Each; i++)
            {
                mine.Add(await Log.AppendAsync(Record(i, 50, (ulong)writer + 1)));
                if (i % 10 == 9) await Log.WaitDurableAsync(mine[^1]);
            }

            return mine;
        }));

        Assert.Equal(Writers * Each, positions.SelectMany(p => p).Distinct().Count());
        for (var writer = 0; writer < Writers; writer++)
        {
            Assert.Equal(positions[writer].Order(), positions[writer]);
            var read = await Log.ReadAsync(positions[writer][^1]);
            Assert.Equal((new GroupId((ulong)writer + 1), (ulong)Each - 1), (read.Group, read.Index));
        }
    }

    [Fact]
    public async Task A_crash_loses_nothing_durable_and_leaves_no_gap()
    {
        var chance = new Random(7);
        var acknowledged = 0UL;
        var next = 1UL;
        for (var round = 0; round < 15; round++)
        {
            for (var i = 0; i < 30; i++)
            {
                var position = await Log.AppendAsync(Record(next++, chance.Next(900)));
                if (chance.Next(4) != 0) continue;
                await Log.WaitDurableAsync(position);
                acknowledged = next - 1;
            }

            var found = new List<(long Position, ulong Index)>();
            Log = await CrashAsync(Log, chance, Collect(found));
            Assert.Null(Log.Recovery.Damage);
            Assert.Equal(found.Count, Log.Recovery.Records);
            Assert.Equal(1UL, found[0].Index);
            Assert.True(found[^1].Index >= acknowledged, $"round {round}: {found[^1].Index} is there, {acknowledged} was acknowledged");
            next = found[^1].Index + 1;
            foreach (var (position, index) in found.Where((_, i) => i % 17 == 0))
            {
                var read = await Log.ReadAsync(position);
                AssertIs(index, read, read.Payload.Span);
            }
        }
    }

    [Fact]
    public async Task What_is_let_go_of_is_gone_and_the_rest_survives_a_crash()
    {
        var positions = new List<long>();
        for (var i = 1UL; i <= 1000; i++) positions.Add(await Log.AppendAsync(Record(i, FillSize)));
        await Log.WaitDurableAsync(positions[^1]);
        var before = Log.DiskBytes;
        await Log.TruncateAsync(positions[900]);
        Assert.Equal(positions[900], Log.Begin);
        Assert.Equal(OperationLogError.NoRecord, (await Assert.ThrowsAsync<OperationLogException>(async () => await Log.ReadAsync(positions[899]))).Error);
        Assert.Equal(901UL, (await Log.ReadAsync(positions[900])).Index);
        await Log.TruncateAsync(positions[10]);
        Assert.Equal(positions[900], Log.Begin);

        var found = new List<(long Position, ulong Index)>();
        Log = await CrashAsync(Log, new Random(1), Collect(found));
        Assert.Equal([.. positions.Skip(900)], found.Select(f => f.Position));
        Assert.True(Log.DiskBytes < before, $"{Log.DiskBytes} bytes are less than {before}");
    }

    [Fact]
    public async Task All_can_be_let_go_of()
    {
        for (var i = 1UL; i <= 50; i++) await Log.AppendAsync(Record(i, 500));
        await Log.WaitDurableAsync(Log.Tail - 1);
        await Log.TruncateAsync(Log.DurableUntil);
        Assert.Equal(Log.DurableUntil, Log.Begin);

        Log = await CrashAsync(Log, new Random(1), Collect([]));
        Assert.Equal(0, Log.Recovery.Records);
        // The largest record does not fit on the page where the log ended: it begins the next one.
        var position = await Log.AppendAsync(Record(51, PayloadSizeMax));
        await Log.WaitDurableAsync(position);
        var found = new List<(long Position, ulong Index)>();
        Log = await CrashAsync(Log, new Random(1), Collect(found));
        Assert.Equal([(position, 51UL)], found);
        Assert.Null(Log.Recovery.Damage);
    }

    [Fact]
    public async Task A_full_disk_refuses_appends_and_goes_on_reading_and_recovers_by_itself()
    {
        var positions = new List<long>();
        Limit(Log, 0);
        OperationLogException? refusal = null;
        for (var i = 1UL; i <= 20_000 && refusal is null; i++)
        {
            try
            {
                positions.Add(await Log.AppendAsync(Record(i, 1000)));
            }
            catch (OperationLogException e)
            {
                refusal = e;
            }
        }

        Assert.Equal(OperationLogError.Full, refusal?.Error);
        if (positions.Count == 0)
        {
            Limit(Log, null);
            positions.Add(await Log.AppendAsync(Record(1, 1000)));
            Limit(Log, 0);
        }

        await Log.WaitDurableAsync(positions[^1]);
        Assert.Equal(1UL, (await Log.ReadAsync(positions[0])).Index);

        Limit(Log, null);
        var next = (ulong)positions.Count + 1;
        for (var i = next; i < next + 300; i++) positions.Add(await Log.AppendAsync(Record(i, 1000)));
        await Log.WaitDurableAsync(positions[^1]);
        var found = new List<(long Position, ulong Index)>();
        Log = await CrashAsync(Log, new Random(1), Collect(found));
        Assert.Equal(positions, found.Select(f => f.Position));
    }

    [Fact]
    public async Task What_begins_something_leaves_room_for_what_is_recorded_of_it()
    {
        Limit(Log, 4 * ReserveSize);
        Assert.InRange(await FillAsync(RoomFor.Beginning), 1, 20_000_000);
        Assert.Equal(0, await FillAsync(RoomFor.Beginning));

        // Room is told by whole pages.
        Assert.InRange(await FillAsync(RoomFor.Record), ReserveSize / 2, 20_000_000);
        Assert.Equal(0, await FillAsync(RoomFor.Beginning));

        // What gives disk back finds room also then; and what is told as room is no less than what there is.
        var room = Log.Room;
        Assert.InRange(await FillAsync(RoomFor.Reclaiming), 5_000, room);
        Assert.Equal(0, await FillAsync(RoomFor.Record));
        Limit(Log, null);
        await Log.WaitDurableAsync(await Log.AppendAsync(Record(1), RoomFor.Beginning));
        Assert.True(Log.Room > room);
    }

    // The bytes that were taken before the disk was said to be full.
    private async Task<long> FillAsync(RoomFor room)
    {
        for (var i = 0L; ; i++)
        {
            Assert.InRange(i, 0, 20_000);
            try
            {
                await Log.AppendAsync(Record((ulong)i, 1000), room);
            }
            catch (OperationLogException e)
            {
                Assert.Equal(OperationLogError.Full, e.Error);
                return i * 1000;
            }
        }
    }

    [Fact]
    public async Task A_closed_log_says_so()
    {
        var position = await Log.AppendAsync(Record(1));
        await Log.DisposeAsync();
        Assert.True(Log.DurableUntil > position);
        var e = await Assert.ThrowsAsync<OperationLogException>(async () => await Log.AppendAsync(Record(2)));
        Assert.Equal(OperationLogError.Failed, e.Error);
    }
}
