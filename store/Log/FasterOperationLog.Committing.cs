using Cheops.Proto;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Log;

/// <summary>
/// How appends become durable. 1. Whoever appends posts a round to the device's thread. 2. The round admits who waits for room,
/// and has FASTER write what was appended. 3. <see cref="CommitSlots"/> syncs it, once for all. 4. Whoever waited goes on, and
/// what was appended meanwhile gets the next round. 5. A little later a slot tells how far the log goes now.
/// </summary>
public sealed partial class FasterOperationLog
{
    private bool _isFull;

    /// <inheritdoc/>
    public long Room
    {
        get
        {
            // A disk may say that it has room, and give none: to this user, say.
            var more = Volatile.Read(ref _isFull) ? 0 : _files.Room;
            lock (_gate) return Math.Max(0, _reservedUntil - _log.TailAddress) + more;
        }
    }

    /// <summary>How far an append at <paramref name="tail"/> can reach: to the end of the next page.</summary>
    private long Reach(long tail) => ((tail >> _options.PageSizeBits) + 2) << _options.PageSizeBits;

    private bool HasRoom(RoomFor room) => Reach(_log.TailAddress) + LeftBy(room) <= _reservedUntil;

    private long LeftBy(RoomFor room) => room switch
    {
        RoomFor.Reclaiming => 0,
        RoomFor.Record => _options.ReclaimingSize,
        _ => _options.ReclaimingSize + _options.ReserveSize,
    };

    // ---- 1. Under the gate.
    private void Post()
    {
        if (_isPosted) return;
        _isPosted = true;
        _device.Post(Round);
    }

    // ---- 2. On the device's thread, which may block.
    private void Round()
    {
        try
        {
            CarryOutRound();
        }
#pragma warning disable CA1031 // Whatever it is, nothing becomes durable any more, and the thread is the device's.
        catch (Exception e)
#pragma warning restore CA1031
        {
            Fail(e);
        }
    }

    private void CarryOutRound()
    {
        int waiting;
        lock (_gate)
        {
            _isPosted = false;
            waiting = _waiting.Count;
        }

        var refusal = Reserve();
        lock (_gate)
        {
            // Who came after the disk was asked is not refused by what it said.
            AdmitWaiting(refusal, waiting);
            if (!_isCommitting && !_failed.Task.IsCompleted) Commit();
        }
    }

    private void Commit()
    {
        var point = new LogExtent(0, _begin, _log.TailAddress, _beginSequence, _nextSequence);
        if (point.Until == _durableUntil && point.Begin == _durableBegin)
        {
            if (_waiting.Count > 0) Post();
            return;
        }

        _isCommitting = true;
        _slots.Next = point;
        _commit = _log.CommitAsync().AsTask();
        _ = _commit.ContinueWith(
            static (commit, log) => ((FasterOperationLog)log!).Fail(commit.Exception!.InnerException!), this, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    // ---- 4. By the thread that has synced.
    private void Committed(LogExtent point)
    {
        TaskCompletionSource round;
        lock (_gate)
        {
            _isCommitting = false;
            Volatile.Write(ref _durableUntil, point.Until);
            Volatile.Write(ref _durableBegin, point.Begin);
            (round, _committed) = (_committed, NewRound());
            if (_log.TailAddress > point.Until || _begin > point.Begin || _waiting.Count > 0) Post();
            if (!_isSlotDue && !_closed) _isSlotDue = _slotTimer.Change(TimeSpan.FromMilliseconds(Bounds.LogSlotDelayMs), Timeout.InfiniteTimeSpan);
        }

        round.TrySetResult();
    }

    // ---- 5. On a thread of the pool, which it blocks for the time of a sync.
    private void KeepExtent()
    {
        lock (_gate) _isSlotDue = false;
        try
        {
            _slots.Keep();
        }
        catch (IOException e)
        {
            Fail(e);
        }
    }

    /// <summary>Makes the segments that the next appends may reach, one ahead where there is room.</summary>
    /// <returns>Why an append for which there is no room is refused; null when there is room for all, and the reserve.</returns>
    private OperationLogException? Reserve()
    {
        long needed;
        lock (_gate) needed = Reach(_log.TailAddress) + LeftBy(RoomFor.Beginning);
        // A quarter of a segment before its end the next one is made, so that appends hardly ever wait for it.
        var wished = needed + (_options.SegmentSize / 4);
        try
        {
            Volatile.Write(ref _isFull, false);
            while (_reservedUntil < wished)
            {
                var segment = (int)(_reservedUntil >> _options.SegmentSizeBits);
                _files.Reserve(segment);
                lock (_gate) _reservedUntil = (segment + 1L) << _options.SegmentSizeBits;
            }
        }
        catch (IOException e) when (_reservedUntil < needed)
        {
            Volatile.Write(ref _isFull, e is SegmentsFullException);
            return e is SegmentsFullException
                ? new OperationLogException(OperationLogError.Full, $"the operation log cannot grow: {e.Message}; free some room", e)
                : new OperationLogException(OperationLogError.Failed, $"the operation log cannot grow: {e.Message}", e);
        }
        catch (IOException e)
        {
            // There is room for what is asked now; the next round tries again.
            Volatile.Write(ref _isFull, e is SegmentsFullException);
        }

        return null;
    }

    private void AdmitWaiting(OperationLogException? refusal, int refusedMax)
    {
        for (var i = 0; _waiting.TryPeek(out var waiting); i++)
        {
            if (waiting.IsGivenUp)
            {
                _waiting.Dequeue();
            }
            else if (TryAppend(waiting.Record, waiting.Room, out var position))
            {
                _waiting.Dequeue();
                waiting.Complete(position);
            }
            else if (refusal is not null && i < refusedMax && !HasRoom(waiting.Room))
            {
                _waiting.Dequeue();
                waiting.Refuse(refusal);
            }
            else
            {
                return;
            }
        }
    }

    // What was appended before the log was closed. FASTER goes on for a moment after a commit is durable.
    private async Task CommitRestAsync()
    {
        while (true)
        {
            Task round;
            lock (_gate)
            {
                if (_failed.Task.IsCompleted || (!_isCommitting && _log.TailAddress == _durableUntil && _begin == _durableBegin)) break;
                round = _committed.Task;
                Post();
            }

            await round;
        }

        await Task.WhenAny(_commit, _failed.Task);
    }

    private void Fail(Exception failure)
    {
        _failed.TrySetResult(failure);
        RefuseAll();
    }

    /// <summary>Tells everybody who waits that the log failed, or is closed.</summary>
    private void RefuseAll()
    {
        TaskCompletionSource round;
        lock (_gate)
        {
            RefuseWaiting();
            round = _committed;
        }

        round.TrySetResult();
    }

    private void RefuseWaiting()
    {
        while (_waiting.TryDequeue(out var waiting)) waiting.Refuse(Failure());
    }
}
