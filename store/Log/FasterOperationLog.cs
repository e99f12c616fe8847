using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;
using FASTER.core;

namespace Cheops.Store.Log;

/// <summary>The operation log on FASTER's log. One commit is under way at a time: what is appended meanwhile waits for the next.</summary>
/// <remarks>
/// A full disk never reaches FASTER: an append is admitted only when the segments it may need exist with all their blocks.
/// A write or sync that fails ends the appending for good, since after it nobody knows what is on the disk.
/// </remarks>
public sealed partial class FasterOperationLog : IOperationLog
{
    // A length before each record, and padding to 4 bytes after it.
    private const int FramingSize = 4 + 3;

    private readonly ISegmentFiles _files;
    private readonly OperationLogOptions _options;
    private readonly FasterLog _log;
    private readonly SegmentDevice _device;
    private readonly CommitSlots _slots;
    private readonly TaskCompletionSource<Exception> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // All below is guarded by the gate, and so is every call of FASTER that changes the log.
    private readonly Lock _gate = new();
    private readonly Queue<WaitingAppend> _waiting = new();
    private TaskCompletionSource _committed = NewRound();
    private ulong _nextSequence;
    private ulong _beginSequence;
    private long _begin;
    private long _reservedUntil;
    private long _durableUntil;
    private long _durableBegin;
    private bool _isPosted;
    private bool _isCommitting;
    private Task _commit = Task.CompletedTask;
    private bool _closed;
    private bool _isSlotDue;

    private readonly ITimer _slotTimer;

    private FasterOperationLog(ISegmentFiles files, OperationLogOptions options, OpenedLog opened, TimeProvider time)
    {
        (_files, _options) = (files, options);
        _slotTimer = time.CreateTimer(static log => ((FasterOperationLog)log!).KeepExtent(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        (_log, _device, _slots, Recovery) = (opened.Log, opened.Device, opened.Slots, opened.Recovery);
        (_begin, _durableBegin, _durableUntil) = (opened.At.Begin, opened.At.Begin, opened.At.Until);
        (_beginSequence, _nextSequence) = (opened.At.BeginSequence, opened.At.UntilSequence);
        // The segment of the tail is looked at again: it is missing when the disk was full at the start.
        _reservedUntil = opened.At.Until >> options.SegmentSizeBits << options.SegmentSizeBits;
        _device.WriteFailed = Fail;
        _slots.CommitFailed = Fail;
        _slots.Committed = Committed;
    }

    /// <summary>Opens a log, reading and checking every record; a log that does not exist begins empty. Blocks while it reads.</summary>
    /// <param name="files">The files under it; closed with the log.</param>
    /// <param name="visit">Sees every intact record.</param>
    /// <param name="options">Sizes; the defaults when null.</param>
    /// <param name="beforeRepair">
    /// Called before the files are changed when acknowledged records are lost, with what is lost, or when the log begins now, with
    /// null. When it throws, or the process ends, the next opening finds the same again.
    /// </param>
    /// <param name="time">When the slots are told how far the log goes; the system's when null.</param>
    /// <exception cref="OperationLogException">The log cannot be read, or not by this version.</exception>
    public static FasterOperationLog Open(ISegmentFiles files, LogRecordVisitor? visit = null, OperationLogOptions? options = null, Action<LogDamage?>? beforeRepair = null, TimeProvider? time = null)
    {
        options ??= new OperationLogOptions();
        options.Check();
        try
        {
            return new FasterOperationLog(files, options, LogOpening.Open(files, options, visit, beforeRepair), time ?? TimeProvider.System);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Opens the log in a directory.</summary>
    /// <param name="directory">Where it is; created when missing.</param>
    /// <param name="visit">Sees every intact record.</param>
    /// <param name="options">Sizes; the defaults when null.</param>
    /// <param name="beforeRepair">
    /// Called before the files are changed when acknowledged records are lost, with what is lost, or when the log begins now, with
    /// null. When it throws, or the process ends, the next opening finds the same again.
    /// </param>
    /// <param name="time">When the slots are told how far the log goes; the system's when null.</param>
    /// <exception cref="OperationLogException">The log is in use, cannot be read, or not by this version.</exception>
    public static FasterOperationLog Open(string directory, LogRecordVisitor? visit = null, OperationLogOptions? options = null, Action<LogDamage?>? beforeRepair = null, TimeProvider? time = null)
    {
        options ??= new OperationLogOptions();
        ISegmentFiles files;
        try
        {
            files = new DiskSegmentFiles(directory, options.SegmentSize);
        }
        catch (SegmentsInUseException e)
        {
            throw new OperationLogException(OperationLogError.InUse, e.Message, e);
        }

        return Open(files, visit, options, beforeRepair, time);
    }

    /// <inheritdoc/>
    public LogRecovery Recovery { get; }

    /// <inheritdoc/>
    public long Begin => Volatile.Read(ref _durableBegin);

    /// <inheritdoc/>
    public long DurableUntil => Volatile.Read(ref _durableUntil);

    /// <inheritdoc/>
    public long Tail
    {
        get
        {
            lock (_gate) return _log.TailAddress;
        }
    }

    /// <inheritdoc/>
    public long DiskBytes => (long)_files.List().Count << _options.SegmentSizeBits;

    /// <inheritdoc/>
    public ValueTask<long> AppendAsync(LogRecord record, CancellationToken cancellation = default) => AppendAsync(record, RoomFor.Record, cancellation);

    /// <inheritdoc/>
    public ValueTask<long> AppendAsync(LogRecord record, RoomFor room, CancellationToken cancellation = default)
    {
        if (record.Payload.Length > _options.PayloadSizeMax)
        {
            throw new OperationLogException(
                OperationLogError.TooLarge, $"a record carries at most {_options.PayloadSizeMax} bytes, not {record.Payload.Length}");
        }

        lock (_gate)
        {
            ThrowIfFailed();
            if (_waiting.Count == 0 && TryAppend(record, room, out var position))
            {
                Post();
                return ValueTask.FromResult(position);
            }

            if (_waiting.Count >= Bounds.LogAppendsWaitingMax)
                throw new OperationLogException(OperationLogError.Busy, $"{_waiting.Count} appends wait for the disk already");
            var waiting = new WaitingAppend(record, room);
            _waiting.Enqueue(waiting);
            Post();
            return new ValueTask<long>(waiting.CompleteAsync(_gate, cancellation));
        }
    }

    /// <inheritdoc/>
    public async ValueTask WaitDurableAsync(long position, CancellationToken cancellation = default)
    {
        while (true)
        {
            Task round;
            lock (_gate)
            {
                if (position < _durableUntil) return;
                ThrowIfFailed();
                if (position >= _log.TailAddress) throw NoRecord(position);
                round = _committed.Task;
            }

            await round.WaitAsync(cancellation);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<LogRecord> ReadAsync(long position, CancellationToken cancellation = default)
    {
        if (position < Begin) throw NoRecord(position);
        await WaitDurableAsync(position, cancellation);
        // FASTER learns of a commit a moment after those who waited for it.
        if (_log.CommittedUntilAddress <= position) await _log.WaitForCommitAsync(position + 1, token: cancellation);
        var (bytes, length) = await _log.ReadAsync(position, token: cancellation);
        if (bytes is not null && LogRecord.Read(bytes.AsMemory(0, length), out var record) == LogRecordStatus.Understood) return record;
        if (position < Begin) throw NoRecord(position);
        throw new OperationLogException(
            _device.ReadFailure is null ? OperationLogError.Damaged : OperationLogError.Failed,
            $"the record at position {position} cannot be read: {_device.ReadFailure?.Message ?? "it is not what was written"}",
            _device.ReadFailure);
    }

    /// <inheritdoc/>
    public async ValueTask TruncateAsync(long position, CancellationToken cancellation = default)
    {
        if (position <= Begin) return;
        var sequence = await SequenceAtAsync(position, cancellation);
        lock (_gate)
        {
            ThrowIfFailed();
            if (position > _begin)
            {
                _log.TruncateUntil(position);
                (_begin, _beginSequence) = (position, sequence);
            }

            Post();
        }

        while (true)
        {
            Task round;
            lock (_gate)
            {
                if (_durableBegin >= position) return;
                ThrowIfFailed();
                round = _committed.Task;
            }

            await round.WaitAsync(cancellation);
        }
    }

    private async ValueTask<ulong> SequenceAtAsync(long position, CancellationToken cancellation)
    {
        lock (_gate)
        {
            // Nothing is in flight: the sequence of the next record is that of the record that will be there.
            if (position == _durableUntil && position == _log.TailAddress) return _nextSequence;
        }

        try
        {
            return (await ReadAsync(position, cancellation)).Sequence;
        }
        catch (OperationLogException e) when (e.Error == OperationLogError.Damaged)
        {
            throw NoRecord(position);
        }
    }

    /// <summary>Appends if there is room in memory and the segments that the record may reach are there.</summary>
    private bool TryAppend(in LogRecord record, RoomFor room, out long position)
    {
        position = 0;
        var tail = _log.TailAddress;
        var size = record.Size + FramingSize;
        if (!HasRoom(room)) return false;
        if (tail > _durableUntil && tail + size - _durableUntil > _options.InFlightSizeMax) return false;
        if (!_log.TryEnqueue(new Numbered(record with { Sequence = _nextSequence }), out position)) return false;
        _nextSequence++;
        return true;
    }

    private void ThrowIfFailed()
    {
        if (_closed) throw new OperationLogException(OperationLogError.Failed, "the operation log is closed");
        if (_failed.Task.IsCompleted) throw Failure();
    }

    private OperationLogException Failure() => new(
        OperationLogError.Failed,
        $"the disk of the operation log failed ({(_failed.Task.IsCompleted ? _failed.Task.Result.Message : "closed")}): nothing more is written; "
        + "see to the disk and start the agent again",
        _failed.Task.IsCompleted ? _failed.Task.Result : null);

    private OperationLogException NoRecord(long position) =>
        new(OperationLogError.NoRecord, $"no record begins at position {position}; the log goes from {Begin} to {DurableUntil}");

    private static TaskCompletionSource NewRound() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Makes what was appended durable, and closes the log.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_closed) return;
            _closed = true;
            RefuseWaiting();
        }

        await CommitRestAsync();
        await _slotTimer.DisposeAsync();
        if (!_failed.Task.IsCompleted) KeepExtent();
        RefuseAll();
        _log.Dispose();
        _device.Dispose();
        _files.Dispose();
    }

    /// <summary>A record on its way into the log's memory.</summary>
    private readonly struct Numbered(LogRecord record) : ILogEnqueueEntry
    {
        private readonly LogRecord _record = record;

        public int SerializedLength => _record.Size;

        public void SerializeTo(Span<byte> dest) => _record.Write(dest);
    }
}
