using Cheops.Store.Table;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Table;

/// <summary>
/// Random lives of a table on a simulated disk: writes, removals, checkpoints, full disks, failures and cuts of the power in
/// any order and at any step. After each start the table is exactly what one checkpoint was: the last one that was
/// acknowledged, or one that was on its way.
/// </summary>
public sealed class ReplicantTableSimulationTests
{
    private static readonly ReplicantTableOptions Tiny = new() { PageSizeBits = 12, MemorySizeBits = 14, SegmentSizeBits = 13 };

    // Sixteen hashes for all keys: whatever depends on hashes meets collisions all the time.
    private static readonly ReplicantTableOptions Colliding = Tiny with { HashMask = 0xC000000000000003 };

    private enum Step
    {
        Put,
        PutMany,
        Remove,
        Read,
        Visit,
        Checkpoint,
        Crash,
        Cut,
        FullDisk,
        BrokenDisk,
    }

    private static readonly Gen<Step> Steps = Gen.Frequency(
        (8, Gen.Const(Step.Put)),
        (4, Gen.Const(Step.PutMany)),
        (4, Gen.Const(Step.Remove)),
        (4, Gen.Const(Step.Read)),
        (1, Gen.Const(Step.Visit)),
        (4, Gen.Const(Step.Checkpoint)),
        (2, Gen.Const(Step.Crash)),
        (2, Gen.Const(Step.Cut)),
        (1, Gen.Const(Step.FullDisk)),
        (1, Gen.Const(Step.BrokenDisk)));

    [Fact]
    public void The_table_is_always_what_a_checkpoint_was() => Gen.Select(Gen.Int, Steps.Array[1, 120]).Sample(
        (seed, steps) => LiveAsync(new Random(seed), steps).GetAwaiter().GetResult(), iter: 150, threads: 1);

    [Fact]
    public async Task A_cut_at_every_step_of_a_life_leaves_a_checkpoint()
    {
        var whole = new Life(new Random(1));
        await whole.GrowAsync();
        var steps = whole.Disk.Steps;
        await whole.DisposeAsync();
        Assert.InRange(steps, 50, 5000);
        for (var cut = 0; cut < steps; cut += 1 + (steps / 400))
        {
            await using var life = new Life(new Random(1));
            life.Disk.CutAfter(cut, new Random(cut));
            await life.GrowAsync();
            await life.RestartAsync();
        }
    }

    private static async Task LiveAsync(Random chance, Step[] steps)
    {
        await using var life = new Life(chance);
        foreach (var step in steps) await life.DoAsync(step);
        await life.RestartAsync();
    }

    private sealed class Life(Random chance) : IAsyncDisposable
    {
        private FasterReplicantTable? _table;
        private int _marks;
        private Dictionary<string, byte[]> _now = [];
        private Dictionary<string, byte[]> _last = [];
        private int _lastMark;
        // A checkpoint that failed or was never answered may be there all the same.
        private (Dictionary<string, byte[]> State, int Mark)? _maybe;

        public SimulatedTableDisk Disk { get; } = new(chance.Next(2) == 0 ? Tiny : Colliding);

        private FasterReplicantTable Table => _table ??= Disk.Open((ulong)chance.NextInt64());

        public Task DoAsync(Step step) => step switch
        {
            Step.Put => Put(1),
            Step.PutMany => Put(chance.Next(2, 60)),
            Step.Remove => Remove(),
            Step.Read => Read(),
            Step.Visit => Visit(),
            Step.Checkpoint => CheckpointAsync(),
            Step.Crash => RestartAsync(),
            Step.Cut => CutAsync(),
            Step.FullDisk => FullDiskAsync(),
            _ => BrokenDiskAsync(),
        };

        /// <summary>Writes and takes checkpoints until compaction has moved things, or the power is cut.</summary>
        public async Task GrowAsync()
        {
            try
            {
                for (var i = 0; i < 12; i++)
                {
                    await Put(60);
                    await Remove();
                    await CheckpointAsync();
                }
            }
            catch (TableException e)
            {
                Assert.Equal(TableError.Failed, e.Error);
            }
        }

        private string AnyKey() => $"key-{chance.Next(40)}{new string('x', chance.Next(3) * 30)}";

        private Task Put(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var (key, value) = (AnyKey(), new byte[chance.Next(6) == 0 ? chance.Next(Tiny.ValueSizeMax + 1) : chance.Next(120)]);
                chance.NextBytes(value);
                Table.Put(Bytes(key), value);
                _now[key] = value;
            }

            return Task.CompletedTask;
        }

        private Task Remove()
        {
            for (var i = 0; i < chance.Next(10); i++)
            {
                var key = AnyKey();
                Table.Remove(Bytes(key));
                _now.Remove(key);
            }

            return Task.CompletedTask;
        }

        private Task Read()
        {
            for (var i = 0; i < 10; i++)
            {
                var key = AnyKey();
                var value = new System.Buffers.ArrayBufferWriter<byte>();
                Assert.Equal(_now.ContainsKey(key), Table.TryGet(Bytes(key), value));
                if (!_now.TryGetValue(key, out var expected)) continue;
                Assert.True(Table.MayHold(Bytes(key)));
                Assert.Equal(expected, value.WrittenSpan.ToArray());
            }

            return Task.CompletedTask;
        }

        private Task Visit()
        {
            AssertIs(_now);
            return Task.CompletedTask;
        }

        private async Task CheckpointAsync()
        {
            _maybe = (new Dictionary<string, byte[]>(_now), ++_marks);
            await Table.CheckpointAsync(Bytes($"{_marks}"));
            (_last, _lastMark) = _maybe.Value;
            _maybe = null;
        }

        private async Task CutAsync()
        {
            _ = Table;
            Disk.CutAfter(chance.Next(30), chance);
            try
            {
                for (var i = 0; i < 5; i++)
                {
                    await Put(20);
                    await CheckpointAsync();
                }
            }
            catch (TableException e)
            {
                Assert.Equal(TableError.Failed, e.Error);
            }

            await RestartAsync();
        }

        private async Task FullDiskAsync()
        {
            _ = Table;
            Disk.Log.SegmentsMax = Disk.Log.List().Count;
            try
            {
                await Put(60);
            }
            catch (TableException e)
            {
                Assert.Equal(TableError.Full, e.Error);
            }

            await CheckpointAsync();
            Disk.Log.SegmentsMax = int.MaxValue;
            await Put(1);
        }

        private async Task BrokenDiskAsync()
        {
            _ = Table;
            if (chance.Next(2) == 0) Disk.Log.FailWrites = true;
            else Disk.Log.FailSyncs = Disk.Checkpoints.FailSyncs = true;
            try
            {
                await Put(3);
                await CheckpointAsync();
                Assert.Fail("a broken disk made a checkpoint durable");
            }
            catch (TableException e)
            {
                Assert.Equal(TableError.Failed, e.Error);
            }

            await RestartAsync();
        }

        public async Task RestartAsync()
        {
            Disk.Crash(chance);
            if (_table is not null) await _table.DisposeAsync();
            (Disk.Log.FailWrites, Disk.Log.FailSyncs, Disk.Checkpoints.FailSyncs) = (false, false, false);
            Disk.Log.SegmentsMax = int.MaxValue;
            _table = null;
            Assert.Null(Table.Damage);
            var mark = Table.Mark.IsEmpty ? 0 : int.Parse(System.Text.Encoding.ASCII.GetString(Table.Mark.Span), System.Globalization.CultureInfo.InvariantCulture);
            if (mark != _lastMark)
            {
                Assert.Equal(_maybe?.Mark, mark);
                (_last, _lastMark) = _maybe!.Value;
            }

            _maybe = null;
            _now = new Dictionary<string, byte[]>(_last);
            AssertIs(_now);
        }

        private void AssertIs(Dictionary<string, byte[]> expected)
        {
            Assert.Equal(expected.Count, Table.Count);
            var seen = 0;
            Table.Visit([], (key, value) =>
            {
                seen++;
                Assert.Equal(expected[System.Text.Encoding.ASCII.GetString(key)], value.ToArray());
                return true;
            });
            Assert.Equal(expected.Count, seen);
        }

        private static byte[] Bytes(string text) => System.Text.Encoding.ASCII.GetBytes(text);

        public async ValueTask DisposeAsync()
        {
            if (_table is not null) await _table.DisposeAsync();
        }
    }
}
