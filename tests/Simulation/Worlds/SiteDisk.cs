using Cheops.Agent.Identity;
using Cheops.Agent.Replication;
using Cheops.Proto.Operations;
using Cheops.Store.Contents;
using Cheops.Store.Log;
using Cheops.Store.Table;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>What a site's agent keeps: it outlives the agent, without what was not synced when it ended.</summary>
internal sealed class SiteDisk(World world, Random chance)
{
    private readonly LifeClock _clock = world.Clock;
    private MemoryOperationLog? _log;
    private bool _isFull;

    public MemoryReplicantTable Table { get; private set; } = new();

    /// <summary>The keys of other sites; written at once, and whole.</summary>
    public SiteKeys SiteKeys { get; } = SiteKeys.InMemory();

    public MemoryContentStore Contents { get; private set; } = new(world.Clock);

    /// <summary>The log as this start finds it, for as long as the agent lives; with what the agent notes in it.</summary>
    public Journal Open()
    {
        var recovery = new Journal.Recovery();
        _log = _log?.Crash(chance, recovery.Visit) ?? new MemoryOperationLog(syncsByItself: false);
        Fill(_isFull);
        return recovery.Open(new SyncedLog(_log, _clock, chance), new LogRetention());
    }

    /// <summary>Whether the disk has no room for anything more.</summary>
    public void Fill(bool isFull)
    {
        _isFull = isFull;
        Table.Capacity = isFull ? Table.DiskBytes : long.MaxValue;
        if (_log is not null) _log.Capacity = isFull ? _log.DiskBytes : long.MaxValue;
    }

    /// <summary>The agent ends: nothing more of it reaches the disk, which may have lost more than that.</summary>
    public void Crash(DataLoss? loss)
    {
        _log?.Fail();
        Table = loss == DataLoss.Everything ? new MemoryReplicantTable { Capacity = Table.Capacity } : Table.Crash(loss == DataLoss.Table ? "a block was not what was written" : null);
        Contents = loss == DataLoss.Everything ? new MemoryContentStore(_clock) : Contents.Crash(chance);

        // Of the log only what the agent noted itself is here; what its groups have of it is the world's.
        if (loss is DataLoss.Everything or DataLoss.EndOfLog) _log = null;
    }

    // What is appended is durable some time later, together with all before it.
    private sealed class SyncedLog(MemoryOperationLog inner, TimeProvider clock, Random chance) : IOperationLog
    {
        private bool _syncs;

        public LogRecovery Recovery => inner.Recovery;

        public long Begin => inner.Begin;

        public long DurableUntil => inner.DurableUntil;

        public long Tail => inner.Tail;

        public long DiskBytes => inner.DiskBytes;

        public long Room => inner.Room;

        public ValueTask<long> AppendAsync(LogRecord record, CancellationToken cancellation = default) => AppendAsync(record, RoomFor.Record, cancellation);

        public async ValueTask<long> AppendAsync(LogRecord record, RoomFor room, CancellationToken cancellation = default)
        {
            var position = await inner.AppendAsync(record, room, cancellation);
            if (!_syncs) _ = SyncAsync();
            return position;
        }

        private async Task SyncAsync()
        {
            _syncs = true;
            await Task.Delay(TimeSpan.FromMicroseconds(chance.Next(200, 8_000)), clock);
            _syncs = false;
            inner.Sync();
        }

        public ValueTask WaitDurableAsync(long position, CancellationToken cancellation = default) => inner.WaitDurableAsync(position, cancellation);

        public ValueTask<LogRecord> ReadAsync(long position, CancellationToken cancellation = default) => inner.ReadAsync(position, cancellation);

        public ValueTask TruncateAsync(long position, CancellationToken cancellation = default) => inner.TruncateAsync(position, cancellation);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
