using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Store.Log;

/// <summary>
/// The in-memory twin of <see cref="FasterOperationLog"/>, for simulating whole agents: nothing of it depends on threads
/// or time, and it fails to order.
/// </summary>
/// <param name="syncsByItself">Whether each append is durable at once; otherwise when <see cref="Sync"/> is called.</param>
public sealed class MemoryOperationLog(bool syncsByItself = true) : IOperationLog
{
    private const long FirstPosition = 64;

    private readonly Lock _gate = new();
    private readonly SortedList<long, LogRecord> _records = [];
    private TaskCompletionSource _committed = NewRound();
    private ulong _nextSequence = 1;
    private long _bytes;
    private bool _failed;
    private bool _closed;

    /// <summary>Bytes that there is room for.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <inheritdoc/>
    public LogRecovery Recovery { get; private init; } = new(0, FirstPosition, FirstPosition, null);

    /// <inheritdoc/>
    public long Begin { get; private set; } = FirstPosition;

    /// <inheritdoc/>
    public long DurableUntil { get; private set; } = FirstPosition;

    /// <inheritdoc/>
    public long Tail { get; private set; } = FirstPosition;

    /// <inheritdoc/>
    public long DiskBytes => _bytes;

    /// <inheritdoc/>
    public long Room
    {
        get
        {
            lock (_gate) return Math.Max(0, Capacity - _bytes);
        }
    }

    /// <summary>Makes all that was appended durable.</summary>
    public void Sync()
    {
        TaskCompletionSource round;
        lock (_gate)
        {
            if (_failed) return;
            DurableUntil = Tail;
            (round, _committed) = (_committed, NewRound());
        }

        round.SetResult();
    }

    /// <summary>The disk fails: nothing that is not durable yet ever will be.</summary>
    public void Fail()
    {
        TaskCompletionSource round;
        lock (_gate) (_failed, round) = (true, _committed);
        round.TrySetResult();
    }

    /// <summary>The power goes: gives the log as the next start finds it, and lets nothing more reach this one.</summary>
    /// <param name="chance">How many of the records that were not durable are there all the same.</param>
    /// <param name="visit">Sees every record that is there.</param>
    public MemoryOperationLog Crash(Random chance, LogRecordVisitor? visit = null)
    {
        Fail();
        lock (_gate)
        {
            var kept = _records.Where(r => r.Key < DurableUntil).Concat(
                _records.Where(r => r.Key >= DurableUntil).TakeWhile(_ => chance.Next(2) == 0)).ToArray();
            var until = kept.Length == 0 ? DurableUntil : Math.Max(DurableUntil, kept[^1].Key + kept[^1].Value.Size);
            var after = new MemoryOperationLog(syncsByItself)
            {
                Capacity = Capacity,
                Begin = Begin,
                DurableUntil = until,
                Tail = until,
                Recovery = new LogRecovery(kept.Length, Begin, until, null),
                _nextSequence = kept.Length == 0 ? _nextSequence : kept[^1].Value.Sequence + 1,
            };
            foreach (var (position, record) in kept)
            {
                after._records.Add(position, record);
                after._bytes += record.Size;
                visit?.Invoke(position, record with { Payload = default }, record.Payload.Span);
            }

            return after;
        }
    }

    /// <inheritdoc/>
    public ValueTask<long> AppendAsync(LogRecord record, CancellationToken cancellation = default) => AppendAsync(record, RoomFor.Record, cancellation);

    /// <inheritdoc/>
    public ValueTask<long> AppendAsync(LogRecord record, RoomFor room, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        if (record.Payload.Length > Bounds.LogPayloadSizeMax)
        {
            throw new OperationLogException(
                OperationLogError.TooLarge, $"a record carries at most {Bounds.LogPayloadSizeMax} bytes, not {record.Payload.Length}");
        }

        long position;
        lock (_gate)
        {
            ThrowIfFailed();
            if (_bytes + record.Size + LeftBy(room) > Capacity) throw new OperationLogException(OperationLogError.Full, "the simulated disk is full");
            position = Tail;
            _records.Add(position, record with { Sequence = _nextSequence++, Payload = record.Payload.ToArray() });
            _bytes += record.Size;
            Tail += record.Size;
        }

        if (syncsByItself) Sync();
        return ValueTask.FromResult(position);
    }

    /// <inheritdoc/>
    public async ValueTask WaitDurableAsync(long position, CancellationToken cancellation = default)
    {
        while (true)
        {
            Task round;
            lock (_gate)
            {
                if (position < DurableUntil) return;
                ThrowIfFailed();
                if (position >= Tail) throw NoRecord(position);
                round = _committed.Task;
            }

            await round.OrCancelled(cancellation);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<LogRecord> ReadAsync(long position, CancellationToken cancellation = default)
    {
        if (position < Begin) throw NoRecord(position);
        await WaitDurableAsync(position, cancellation);
        lock (_gate)
        {
            return _records.TryGetValue(position, out var record) ? record : throw NoRecord(position);
        }
    }

    /// <inheritdoc/>
    public ValueTask TruncateAsync(long position, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_gate)
        {
            ThrowIfFailed();
            if (position <= Begin) return ValueTask.CompletedTask;
            if (position > DurableUntil || (position < DurableUntil && !_records.ContainsKey(position))) throw NoRecord(position);
            while (_records.Count > 0 && _records.GetKeyAtIndex(0) < position)
            {
                _bytes -= _records.GetValueAtIndex(0).Size;
                _records.RemoveAt(0);
            }

            Begin = position;
        }

        return ValueTask.CompletedTask;
    }

    private static long LeftBy(RoomFor room) => room switch
    {
        RoomFor.Reclaiming => 0,
        RoomFor.Record => 2 << Bounds.LogPageSizeBits,
        _ => (2 << Bounds.LogPageSizeBits) + Bounds.LogReserveSize,
    };

    private void ThrowIfFailed()
    {
        if (_closed) throw new OperationLogException(OperationLogError.Failed, "the operation log is closed");
        if (_failed) throw new OperationLogException(OperationLogError.Failed, "the simulated disk of the operation log failed");
    }

    private OperationLogException NoRecord(long position) =>
        new(OperationLogError.NoRecord, $"no record begins at position {position}; the log goes from {Begin} to {DurableUntil}");

    private static TaskCompletionSource NewRound() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (_closed) return ValueTask.CompletedTask;
        Sync();
        TaskCompletionSource round;
        lock (_gate) (_closed, round) = (true, _committed);
        round.TrySetResult();
        return ValueTask.CompletedTask;
    }
}
