using System.Buffers;
using System.Text;
using Cheops.Proto;
using Cheops.Store.Table;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>What every replicant table promises.</summary>
public abstract class ReplicantTableContract : IAsyncLifetime
{
    /// <summary>The table under test.</summary>
    protected IReplicantTable Table { get; set; } = null!;

    /// <summary>Makes an empty table.</summary>
    protected abstract IReplicantTable Make();

    /// <summary>Stops the table as a crash does, and opens what is left of it.</summary>
    protected abstract Task<IReplicantTable> CrashAsync(IReplicantTable table, Random chance);

    /// <summary>Lets the disk take no more; or lets it take what comes.</summary>
    protected abstract void Limit(IReplicantTable table, bool isFull);

    /// <summary>Makes every write to the disk fail.</summary>
    protected abstract void Break(IReplicantTable table);

    /// <summary>Largest key and value of <see cref="Make"/>'s tables.</summary>
    protected virtual (int Key, int Value) SizesMax => (Bounds.TableKeySizeMax, Bounds.TableValueSizeMax);

    public Task InitializeAsync()
    {
        Table = Make();
        return Task.CompletedTask;
    }

    public virtual async Task DisposeAsync() => await Table.DisposeAsync();

    protected static byte[] Key(int index) => Encoding.ASCII.GetBytes($"key-{index}");

    /// <summary>A value that tells whether it is whole.</summary>
    protected static byte[] Value(int index, int size)
    {
        var bytes = new byte[size];
        for (var i = 0; i < size; i++) bytes[i] = (byte)((i * 31) + index);
        return bytes;
    }

    protected static byte[]? Get(IReplicantTable table, byte[] key)
    {
        var value = new ArrayBufferWriter<byte>();
        if (!table.TryGet(key, value)) return null;
        Assert.True(table.MayHold(key), "a key that is there was said not to be");
        return value.WrittenSpan.ToArray();
    }

    protected static Dictionary<string, byte[]> All(IReplicantTable table, string prefix = "")
    {
        var all = new Dictionary<string, byte[]>();
        table.Visit(Encoding.ASCII.GetBytes(prefix), (key, value) =>
        {
            all.Add(Encoding.ASCII.GetString(key), value.ToArray());
            return true;
        });
        return all;
    }

    protected static void AssertIs(IReadOnlyDictionary<int, byte[]> model, IReplicantTable table)
    {
        Assert.Equal(model.Count, table.Count);
        var all = All(table);
        Assert.Equal(model.Count, all.Count);
        foreach (var (index, value) in model)
        {
            Assert.True(table.MayHold(Key(index)));
            Assert.Equal(value, Get(table, Key(index)));
            Assert.Equal(value, all[$"key-{index}"]);
        }
    }

    [Fact]
    public void Keys_that_differ_in_their_first_bytes_are_asked_for_together()
    {
        for (var i = 0; i < 300; i++) Table.Put([(byte)"abc"[i % 3], .. Key(i)], Value(i, 10));
        for (var i = 0; i < 300; i++)
        {
            Assert.True(Table.MayHoldAny([0, .. Key(i)], "abc"u8));
            Assert.Equal(i % 3 == 2, Table.MayHoldAny([0, .. Key(i)], "xcy"u8));
            Assert.False(Table.MayHoldAny([0, .. Key(i)], "xyz"u8));
        }
    }

    [Fact]
    public void A_new_table_is_empty()
    {
        Assert.Equal(0, Table.Count);
        Assert.Null(Table.Damage);
        Assert.True(Table.Mark.IsEmpty);
        Assert.False(Table.MayHold(Key(1)));
        Assert.Null(Get(Table, Key(1)));
        Assert.Empty(All(Table));
        Table.Remove(Key(1));
        Assert.Equal(0, Table.Count);
    }

    [Fact]
    public void What_is_put_is_there_until_it_is_replaced_or_removed()
    {
        for (var i = 0; i < 500; i++) Table.Put(Key(i), Value(i, i));
        for (var i = 0; i < 500; i += 2) Table.Put(Key(i), Value(i + 1, i % 4 == 0 ? i : i + 3));
        for (var i = 0; i < 500; i += 5) Table.Remove(Key(i));
        for (var i = 0; i < 500; i += 10) Table.Put(Key(i), Value(i + 2, 9));
        for (var i = 0; i < 500; i++)
        {
            var expected = i % 10 == 0 ? Value(i + 2, 9)
                : i % 5 == 0 ? null
                : i % 2 == 0 ? Value(i + 1, i % 4 == 0 ? i : i + 3)
                : Value(i, i);
            Assert.Equal(expected, Get(Table, Key(i)));
        }

        Assert.Equal(450, Table.Count);
        Assert.Equal(450, All(Table).Count);
    }

    [Fact]
    public void A_key_that_never_was_is_told_from_memory()
    {
        for (var i = 0; i < 5000; i++) Table.Put(Key(i), Value(i, 20));
        var wrong = Enumerable.Range(5000, 100_000).Count(i => Table.MayHold(Key(i)));
        Assert.InRange(wrong, 0, 20);
        for (var i = 0; i < 5000; i++) Table.Remove(Key(i));
        Assert.InRange(Enumerable.Range(0, 5000).Count(i => Table.MayHold(Key(i))), 0, 5);
    }

    [Fact]
    public void The_largest_key_and_value_are_taken_and_larger_ones_refused()
    {
        var (keyMax, valueMax) = SizesMax;
        var key = Value(1, keyMax);
        for (var i = 0; i < 12; i++)
        {
            Table.Put(key, Value(i, valueMax));
            Table.Put(Key(i), Value(i, valueMax - i));
        }

        Assert.Equal(Value(11, valueMax), Get(Table, key));
        for (var i = 0; i < 12; i++) Assert.Equal(Value(i, valueMax - i), Get(Table, Key(i)));
        Assert.Equal(TableError.TooLarge, Assert.Throws<TableException>(() => Table.Put(new byte[keyMax + 1], [])).Error);
        Assert.Equal(TableError.TooLarge, Assert.Throws<TableException>(() => Table.Put(key, new byte[valueMax + 1])).Error);
        Assert.Equal(TableError.TooLarge, Assert.Throws<TableException>(() => Table.Put([], [1])).Error);
        Assert.Equal(TableError.TooLarge, Assert.Throws<TableException>(() => Table.Remove([])).Error);
        Assert.Equal(TableError.TooLarge, Assert.Throws<TableException>(() => Table.TryGet([], new ArrayBufferWriter<byte>())).Error);
        Assert.False(Table.MayHold([]));
        Assert.Equal(13, Table.Count);
    }

    [Fact]
    public void A_value_is_appended_to_what_the_buffer_has()
    {
        Table.Put(Key(1), [3, 4]);
        var value = new ArrayBufferWriter<byte>();
        value.Write<byte>([1, 2]);
        Assert.True(Table.TryGet(Key(1), value));
        Assert.Equal([1, 2, 3, 4], value.WrittenSpan.ToArray());
        Assert.False(Table.TryGet(Key(2), value));
        Assert.Equal(4, value.WrittenCount);
    }

    [Fact]
    public void A_visit_sees_only_what_has_the_prefix_and_ends_when_told()
    {
        for (var i = 0; i < 300; i++)
        {
            Table.Put(Key(i), Value(i, 10));
            Table.Put(Encoding.ASCII.GetBytes($"other-{i}"), [1]);
        }

        Assert.Equal(300, All(Table, "other-").Count);
        Assert.Equal(Enumerable.Range(0, 300).Where(i => $"{i}".StartsWith('2')).Select(i => $"key-{i}").Order(), All(Table, "key-2").Keys.Order());
        Assert.Empty(All(Table, "key-3000000"));
        var seen = 0;
        Table.Visit([], (_, _) => ++seen < 7);
        Assert.Equal(7, seen);
    }

    [Fact]
    public void A_visitor_may_change_what_it_visits()
    {
        for (var i = 0; i < 300; i++) Table.Put(Key(i), Value(i, 10));
        var seen = 0;
        Table.Visit([], (key, value) =>
        {
            seen++;
            Table.Put(key, [.. value, 1]);
            return true;
        });
        Assert.Equal(300, seen);
        Assert.All(All(Table).Values, value => Assert.Equal(11, value.Length));
    }

    [Fact]
    public async Task A_crash_gives_back_what_the_last_checkpoint_made_durable()
    {
        var chance = new Random(5);
        var model = new Dictionary<int, byte[]>();
        for (var round = 0; round < 8; round++)
        {
            for (var i = 0; i < 400; i++)
            {
                var index = chance.Next(600);
                if (chance.Next(4) == 0)
                {
                    Table.Remove(Key(index));
                    model.Remove(index);
                }
                else
                {
                    model[index] = Value(round + index, chance.Next(200));
                    Table.Put(Key(index), model[index]);
                }
            }

            await Table.CheckpointAsync(Key(round));
            for (var i = 0; i < 200; i++) Table.Put(Key(chance.Next(900)), Value(i, 300));
            for (var i = 0; i < 50; i++) Table.Remove(Key(chance.Next(900)));
            Table = await CrashAsync(Table, chance);
            Assert.Null(Table.Damage);
            Assert.Equal(Key(round), Table.Mark.ToArray());
            AssertIs(model, Table);
        }
    }

    [Fact]
    public async Task Without_a_checkpoint_nothing_is_there_after_a_crash()
    {
        for (var i = 0; i < 50; i++) Table.Put(Key(i), Value(i, 100));
        Table = await CrashAsync(Table, new Random(1));
        Assert.Null(Table.Damage);
        Assert.Equal(0, Table.Count);
        Assert.True(Table.Mark.IsEmpty);
        Assert.Null(Get(Table, Key(1)));
    }

    [Fact]
    public async Task Marks_of_any_size_are_given_back()
    {
        foreach (var size in new[] { 1, 0, Bounds.TableMarkSizeMax, 5000 })
        {
            var mark = Value(size, size);
            await Table.CheckpointAsync(mark);
            Table = await CrashAsync(Table, new Random(size));
            Assert.True(mark.AsSpan().SequenceEqual(Table.Mark.Span));
        }

        var e = await Assert.ThrowsAsync<TableException>(async () => await Table.CheckpointAsync(new byte[Bounds.TableMarkSizeMax + 1]));
        Assert.Equal(TableError.TooLarge, e.Error);
    }

    [Fact]
    public async Task A_full_disk_refuses_writes_and_goes_on_reading_and_recovers_by_itself()
    {
        var model = new Dictionary<int, byte[]> { [0] = Value(0, 500) };
        Table.Put(Key(0), model[0]);
        await Table.CheckpointAsync(Key(0));
        Limit(Table, isFull: true);
        TableException? refusal = null;
        for (var i = 1; i < 50_000 && refusal is null; i++)
        {
            try
            {
                Table.Put(Key(i), Value(i, 500));
                model[i] = Value(i, 500);
            }
            catch (TableException e)
            {
                refusal = e;
            }
        }

        Assert.Equal(TableError.Full, refusal?.Error);
        AssertIs(model, Table);
        await Table.CheckpointAsync(Key(1));
        Limit(Table, isFull: false);
        for (var i = 0; i < 100; i++)
        {
            model[i] = Value(i, 600);
            Table.Put(Key(i), model[i]);
        }

        await Table.CheckpointAsync(Key(2));
        Table = await CrashAsync(Table, new Random(1));
        Assert.Equal(Key(2), Table.Mark.ToArray());
        AssertIs(model, Table);
    }

    [Fact]
    public async Task A_disk_that_fails_ends_the_writing_and_not_the_reading()
    {
        for (var i = 0; i < 20; i++) Table.Put(Key(i), Value(i, 50));
        await Table.CheckpointAsync(Key(1));
        Break(Table);
        var e = await Assert.ThrowsAsync<TableException>(async () =>
        {
            Table.Put(Key(1), Value(2, 60));
            await Table.CheckpointAsync(Key(2));
        });
        Assert.Equal(TableError.Failed, e.Error);
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => Table.Put(Key(9), [])).Error);
        Assert.Equal(Value(7, 50), Get(Table, Key(7)));
        Table = await CrashAsync(Table, new Random(1));
        Assert.Equal(Key(1), Table.Mark.ToArray());
        Assert.Equal(Value(1, 50), Get(Table, Key(1)));
    }

    [Fact]
    public async Task Readers_see_each_value_whole_while_it_is_written()
    {
        const int Keys = 50, Rounds = 300;
        for (var i = 0; i < Keys; i++) Table.Put(Key(i), Value(0, 100));
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 3).Select(reader => Task.Run(() =>
        {
            var chance = new Random(reader);
            var reads = 0;
            for (; reads < 2000 || !stop.IsCancellationRequested; reads++)
            {
                var index = chance.Next(Keys);
                Assert.True(Table.MayHold(Key(index)));
                var value = Get(Table, Key(index));
                Assert.NotNull(value);
                Assert.Equal(Value(value.Length == 0 ? 0 : value[0], value.Length), value);
            }

            return reads;
        })).ToArray();

        for (var round = 1; round <= Rounds; round++)
        {
            for (var i = 0; i < Keys; i++) Table.Put(Key(i), Value(round, i % 2 == 0 ? 100 : 90 + (round % 9)));
            Table.Put(Key(Keys + round), Value(round, 500));
            if (round % 50 == 0) await Table.CheckpointAsync(Key(round));
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(readers), reads => Assert.True(reads >= 2000));
        Assert.Equal(Keys + Rounds, Table.Count);
    }

    [Fact]
    public async Task A_closed_table_says_so()
    {
        Table.Put(Key(1), [1]);
        await Table.DisposeAsync();
        await Table.DisposeAsync();
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => Table.Put(Key(1), [])).Error);
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => Table.TryGet(Key(1), new ArrayBufferWriter<byte>())).Error);
        Assert.Equal(TableError.Failed, Assert.Throws<TableException>(() => Table.Visit([], (_, _) => true)).Error);
        Assert.Equal(TableError.Failed, (await Assert.ThrowsAsync<TableException>(async () => await Table.CheckpointAsync(default))).Error);
    }
}
