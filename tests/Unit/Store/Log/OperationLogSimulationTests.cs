using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Store.Log;
using Cheops.Store.Log.Segments;
using CsCheck;
using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>
/// Random lives of a log on a simulated disk: appends, truncations, full disks, failures and crashes in any order. After
/// each crash: everything acknowledged is there, in order, without a gap, and nothing that never was.
/// </summary>
public sealed class OperationLogSimulationTests
{
    private static readonly OperationLogOptions Tiny = new()
    {
        PageSizeBits = 12,
        MemorySizeBits = 14,
        SegmentSizeBits = 13,
        InFlightSizeMax = 6 * 1024,
        ReserveSize = 8 * 1024,
    };

    private enum Step
    {
        Append,
        AppendBurst,
        Acknowledge,
        Truncate,
        Crash,
        Kill,
        Stop,
        FullDisk,
        BrokenDisk,
        SlotsTell,
    }

    private static readonly Gen<Step> Steps = Gen.Frequency(
        (8, Gen.Const(Step.Append)),
        (4, Gen.Const(Step.AppendBurst)),
        (6, Gen.Const(Step.Acknowledge)),
        (2, Gen.Const(Step.Truncate)),
        (3, Gen.Const(Step.Crash)),
        (2, Gen.Const(Step.Kill)),
        (1, Gen.Const(Step.Stop)),
        (1, Gen.Const(Step.FullDisk)),
        (1, Gen.Const(Step.BrokenDisk)),
        (2, Gen.Const(Step.SlotsTell)));

    [Fact]
    public void Nothing_acknowledged_is_ever_lost() => Gen.Select(Gen.Int, Steps.Array[1, 120]).Sample(
        (seed, steps) => LiveAsync(new Random(seed), steps).GetAwaiter().GetResult(), iter: 150, threads: 1);

    private static async Task LiveAsync(Random chance, Step[] steps)
    {
        await using var life = new Life(chance);
        foreach (var step in steps) await life.DoAsync(step);
        await life.RestartAsync(Step.Crash);
    }

    private sealed class Life(Random chance) : IAsyncDisposable
    {
        private readonly FakeTimeProvider _time = new();
        private MemorySegmentFiles _disk = new(1 << Tiny.SegmentSizeBits);
        private FasterOperationLog? _log;
        private readonly List<(long Position, int Size)> _records = [];
        private int _oldest;
        private int _acknowledged;

        private FasterOperationLog Log => _log ??= FasterOperationLog.Open(_disk, null, Tiny, time: _time);

        public Task DoAsync(Step step) => step switch
        {
            Step.Append => AppendAsync(1),
            Step.AppendBurst => AppendAsync(chance.Next(2, 40)),
            Step.Acknowledge => AcknowledgeAsync(),
            Step.Truncate => TruncateAsync(),
            Step.Crash => RestartAsync(Step.Crash),
            Step.Kill => RestartAsync(Step.Kill),
            Step.Stop => RestartAsync(Step.Stop),
            Step.FullDisk => FullDiskAsync(),
            Step.SlotsTell => SlotsTellAsync(),
            _ => BrokenDiskAsync(),
        };

        private LogRecord Next(int size) => new()
        {
            Group = new GroupId((ulong)(_records.Count % 3) + 1),
            Kind = 1,
            Index = (ulong)_records.Count,
            Payload = Enumerable.Repeat((byte)_records.Count, size).ToArray(),
        };

        private async Task AppendAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var size = chance.Next(5) == 0 ? chance.Next(Tiny.PayloadSizeMax + 1) : chance.Next(300);
                _records.Add((await Log.AppendAsync(Next(size)), size));
            }
        }

        private async Task AcknowledgeAsync()
        {
            if (_records.Count == _oldest) return;
            await Log.WaitDurableAsync(_records[^1].Position);
            _acknowledged = _records.Count;
            var (position, size) = _records[chance.Next(_oldest, _records.Count)];
            Assert.Equal(size, (await Log.ReadAsync(position)).Payload.Length);
        }

        private async Task TruncateAsync()
        {
            if (_acknowledged == _oldest) return;
            var to = chance.Next(_oldest, _acknowledged);
            await Log.TruncateAsync(_records[to].Position);
            _oldest = to;
        }

        private Task SlotsTellAsync()
        {
            _time.Advance(TimeSpan.FromMilliseconds(Bounds.LogSlotDelayMs));
            return Task.CompletedTask;
        }

        private async Task FullDiskAsync()
        {
            _ = Log;
            _disk.SegmentsMax = _disk.List().Count;
            try
            {
                for (var i = 0; i < 40; i++) await AppendAsync(1);
            }
            catch (OperationLogException e)
            {
                Assert.Equal(OperationLogError.Full, e.Error);
            }

            _disk.SegmentsMax = int.MaxValue;
            await AppendAsync(1);
        }

        private async Task BrokenDiskAsync()
        {
            _ = Log;
            if (chance.Next(2) == 0) _disk.FailWrites = true;
            else _disk.FailSyncs = true;
            try
            {
                await AppendAsync(3);
                await AcknowledgeAsync();
                Assert.Fail("a broken disk made a record durable");
            }
            catch (OperationLogException e)
            {
                Assert.Equal(OperationLogError.Failed, e.Error);
            }

            await RestartAsync(Step.Crash);
        }

        public async Task RestartAsync(Step how)
        {
            if (how == Step.Stop) _acknowledged = _records.Count;
            var before = _disk;
            if (how != Step.Stop) _disk = how == Step.Kill ? _disk.Kill() : _disk.Crash(chance);
            if (_log is not null) await _log.DisposeAsync();
            if (how == Step.Stop) _disk = before.Crash(chance);
            _disk.FailWrites = _disk.FailSyncs = false;

            var at = _oldest;
            _log = FasterOperationLog.Open(
                _disk,
                (long position, in LogRecord record, ReadOnlySpan<byte> payload) =>
                {
                    Assert.Equal((ulong)at, record.Index);
                    // What was on its way when the disk broke has no position here, but its bytes.
                    Assert.False(payload.ContainsAnyExcept((byte)at));
                    if (at < _records.Count) Assert.Equal(_records[at], (position, payload.Length));
                    else _records.Add((position, payload.Length));
                    at++;
                },
                Tiny,
                time: _time);
            Assert.Null(_log.Recovery.Damage);
            Assert.True(at >= _acknowledged, $"{at} records are there, {_acknowledged} were acknowledged");
            _records.RemoveRange(at, _records.Count - at);
            _acknowledged = at;
        }

        public async ValueTask DisposeAsync()
        {
            if (_log is not null) await _log.DisposeAsync();
            _disk.Dispose();
        }
    }
}
