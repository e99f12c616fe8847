using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>The table on FASTER over a simulated disk: lost and torn writes, flipped bits, a full and a broken disk.</summary>
public sealed class FasterReplicantTableTests : ReplicantTableContract
{
    private static readonly ReplicantTableOptions Small = new() { PageSizeBits = 14, MemorySizeBits = 17, SegmentSizeBits = 16 };

    private SimulatedTableDisk _disk = new(Small);

    protected override (int Key, int Value) SizesMax => (Small.KeySizeMax, Small.ValueSizeMax);

    protected override IReplicantTable Make() => _disk.Open();

    protected override async Task<IReplicantTable> CrashAsync(IReplicantTable table, Random chance)
    {
        _disk.Crash(chance);
        await table.DisposeAsync();
        return _disk.Open();
    }

    protected override void Limit(IReplicantTable table, bool isFull) =>
        _disk.Log.SegmentsMax = isFull ? _disk.Log.List().Count + 1 : int.MaxValue;

    protected override void Break(IReplicantTable table) => _disk.Log.FailWrites = true;

    private async Task<Dictionary<int, byte[]>> FillAsync(Random chance, int keys = 400, int writes = 1500)
    {
        var model = new Dictionary<int, byte[]>();
        for (var i = 0; i < writes; i++)
        {
            var index = chance.Next(keys);
            if (chance.Next(5) == 0)
            {
                Table.Remove(Key(index));
                model.Remove(index);
            }
            else
            {
                Table.Put(Key(index), model[index] = Value(i, chance.Next(400)));
            }

            if (i % 500 == 499) await Table.CheckpointAsync(Key(i));
        }

        await Table.CheckpointAsync(Key(writes));
        return model;
    }

    private async Task RenewAsync()
    {
        await Table.DisposeAsync();
        _disk = new SimulatedTableDisk(Small);
        Table = Make();
    }

    [Fact]
    public async Task A_flipped_bit_in_the_log_is_found_at_the_start_or_changes_nothing()
    {
        var chance = new Random(3);
        var found = 0;
        for (var round = 0; round < 120; round++)
        {
            await RenewAsync();
            var model = await FillAsync(chance, keys: chance.Next(1, 400), writes: chance.Next(1, 1500));
            var segments = _disk.Log.List();
            _disk.Crash(chance);
            _disk.Log.FlipBit(segments[chance.Next(segments.Count)], chance.Next(1 << 16), chance.Next(8));
            await Table.DisposeAsync();
            Table = _disk.Open();
            if (Table.Damage is not null)
            {
                model.Clear();
                Assert.True(Table.Mark.IsEmpty);
                found++;
            }

            AssertIs(model, Table);
            Table.Put(Key(1), model[1] = Value(1, 10));
            await Table.CheckpointAsync(Key(1));
            Table = await CrashAsync(Table, chance);
            Assert.Null(Table.Damage);
            AssertIs(model, Table);
        }

        Assert.InRange(found, 20, 120);
    }

    [Fact]
    public async Task A_bit_flipped_while_it_is_open_never_reaches_a_reader()
    {
        var chance = new Random(4);
        var found = 0;
        for (var round = 0; round < 60; round++)
        {
            await RenewAsync();
            var model = await FillAsync(chance);
            var segments = _disk.Log.List();
            for (var i = 0; i < 20; i++) _disk.Log.FlipBit(segments[chance.Next(segments.Count)], chance.Next(1 << 16), chance.Next(8));
            foreach (var (index, value) in model)
            {
                try
                {
                    Assert.Equal(value, Get(Table, Key(index)));
                }
                catch (TableException e)
                {
                    Assert.Equal(TableError.Damaged, e.Error);
                    found++;
                }
            }

            var visited = Record.Exception(() => Assert.Equal(model.Count, All(Table).Count));
            Assert.True(visited is null or TableException { Error: TableError.Damaged }, visited?.ToString());
        }

        Assert.True(found > 100, $"{found} reads met a damage");
    }

    [Fact]
    public async Task A_lost_segment_is_found_at_the_start()
    {
        var chance = new Random(5);
        await FillAsync(chance, keys: 3000, writes: 4000);
        var segments = _disk.Log.List();
        foreach (var lost in segments.Take(segments.Count - 2))
        {
            await RenewAsync();
            await FillAsync(new Random(5), keys: 3000, writes: 4000);
            _disk.Crash(chance);
            _disk.Log.Remove(lost);
            await Table.DisposeAsync();
            Table = _disk.Open();
            Assert.NotNull(Table.Damage);
            Assert.Equal(0, Table.Count);
        }
    }

    [Fact]
    public async Task A_flipped_bit_in_a_checkpoint_is_found_or_changes_nothing()
    {
        var chance = new Random(6);
        var found = 0;
        for (var round = 0; round < 60; round++)
        {
            await RenewAsync();
            var model = await FillAsync(chance, keys: 50, writes: 600);
            _disk.Crash(chance);
            if (chance.Next(2) == 0) _disk.Checkpoints.FlipSlotBit(chance.Next(2), chance.Next(32), chance.Next(8));
            else _disk.Checkpoints.FlipBit(chance.Next(2), chance.Next(80), chance.Next(8));
            await Table.DisposeAsync();
            Table = _disk.Open();
            if (Table.Damage is not null) found++;
            if (Table.Damage is not null) model.Clear();
            else Assert.Equal(Key(600), Table.Mark.ToArray());
            AssertIs(model, Table);
        }

        Assert.InRange(found, 5, 50);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_read_is_told_and_no_reason_to_begin_anew()
    {
        var model = await FillAsync(new Random(7));
        _disk.Log.FailReads = true;
        var failed = 0;
        foreach (var index in model.Keys)
        {
            if (Record.Exception(() => Get(Table, Key(index))) is not { } e) continue;
            Assert.Equal(TableError.Failed, Assert.IsType<TableException>(e).Error);
            failed++;
        }

        Assert.True(failed > 10, $"{failed} reads needed the disk");
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => All(Table)).Error);
        _disk.Crash(new Random(1));
        await Table.DisposeAsync();
        _disk.Log.FailReads = true;
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => _disk.Open()).Error);
        _disk.Log.FailReads = false;
        Table = _disk.Open();
        AssertIs(model, Table);
    }

    [Fact]
    public async Task What_is_overwritten_does_not_grow_the_disk()
    {
        var model = new Dictionary<int, byte[]>();
        var most = 0L;
        for (var i = 0; i < 60_000; i++)
        {
            var index = i % 100;
            Table.Put(Key(index), model[index] = Value(i, 150 + (i % 77)));
            if (i % 1000 != 999) continue;
            await Table.CheckpointAsync(Key(i));
            most = Math.Max(most, _disk.Log.List().Count);
        }

        Assert.InRange(most, 2, 9);
        for (var i = 0; i < 100; i++) Table.Remove(Key(i));
        for (var i = 0; i < 10; i++)
        {
            for (var j = 0; j < 300; j++) Table.Put(Key(1000), Value(j, 500 + j));
            await Table.CheckpointAsync(Key(i));
        }

        Table = await CrashAsync(Table, new Random(1));
        AssertIs(new Dictionary<int, byte[]> { [1000] = Value(299, 799) }, Table);
        Assert.InRange(_disk.Log.List().Count, 1, 5);
    }

    [Fact]
    public async Task A_disk_that_stays_full_is_given_room_by_compaction()
    {
        for (var i = 0; i < 100; i++) Table.Put(Key(i), Value(i, 300));
        await Table.CheckpointAsync(default);
        _disk.Log.SegmentsMax = 7;
        var refused = 0;
        for (var i = 0; i < 20_000; i++)
        {
            try
            {
                Table.Put(Key(i % 100), Value(i, 300 + (i % 9)));
            }
            catch (TableException e) when (e.Error == TableError.Full)
            {
                refused++;
                await Table.CheckpointAsync(default);
                Table.Put(Key(i % 100), Value(i, 300 + (i % 9)));
            }
        }

        Assert.True(refused > 10, $"refused {refused} times");
        Assert.Equal(100, Table.Count);
    }

    [Fact]
    public async Task Readers_find_what_compaction_moves()
    {
        const int Steady = 300;
        for (var i = 0; i < Steady; i++) Table.Put(Key(i), Value(i, 200));
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 2).Select(reader => Task.Run(() =>
        {
            var chance = new Random(reader);
            for (var reads = 0; reads < 5000 || !stop.IsCancellationRequested; reads++)
            {
                var index = chance.Next(Steady);
                Assert.Equal(Value(index, 200), Get(Table, Key(index)));
            }
        })).ToArray();
        for (var round = 0; round < 40; round++)
        {
            for (var i = 0; i < 1000; i++) Table.Put(Key(Steady + (i % 50)), Value(i, 200 + (i % 7)));
            await Table.CheckpointAsync(default);
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
        Assert.InRange(_disk.Log.List().Min(), 5, int.MaxValue);
        Assert.Equal(Steady + 50, All(Table).Count);
    }

    [Fact]
    public async Task An_index_that_grew_finds_everything_on_the_disk_too()
    {
        var model = new Dictionary<int, byte[]>();
        for (var i = 0; i < 30_000; i++) Table.Put(Key(i), model[i] = Value(i, 20));
        for (var i = 0; i < 30_000; i++) Assert.Equal(model[i], Get(Table, Key(i)));
        await Table.CheckpointAsync(default);
        Table = await CrashAsync(Table, new Random(1));
        AssertIs(model, Table);
    }

    [Fact]
    public async Task A_table_that_became_small_and_was_opened_again_finds_everything()
    {
        // Chains of the index are made with as many buckets as there were: those of a large table, on the disk and after it.
        var model = new Dictionary<int, byte[]>();
        for (var i = 0; i < 60_000; i++) Table.Put(Key(i), model[i] = Value(i, 8));
        for (var i = 0; i < 60_000; i++)
        {
            if (i % 30 == 0) continue;
            Table.Remove(Key(i));
            model.Remove(i);
        }

        for (var round = 0; round < 3; round++)
        {
            await Table.CheckpointAsync(default);
            _disk.Crash(new Random(round));
            await Table.DisposeAsync();
            Table = _disk.Open(secret: (ulong)round + 100);
            Assert.Null(Table.Damage);
            AssertIs(model, Table);
            for (var i = 0; i < 500; i++) Table.Put(Key(i * 30), model[i * 30] = Value(i + round, 8));
        }
    }

    [Fact]
    public async Task A_visit_sees_everything_while_others_write()
    {
        for (var i = 0; i < 2000; i++) Table.Put(Key(i), Value(i, 100));
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                Table.Put(Key(2000 + (i % 100)), Value(i, 100 + (i % 5)));
                if (i % 3000 == 0) await Table.CheckpointAsync(default);
            }
        });
        for (var round = 0; round < 20; round++)
        {
            var all = All(Table);
            for (var i = 0; i < 2000; i++) Assert.Equal(Value(i, 100), all[$"key-{i}"]);
        }

        await stop.CancelAsync();
        await writer;
    }
}
