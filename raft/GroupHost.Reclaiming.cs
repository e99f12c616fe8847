using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>
/// Gives disk back. 1. It is chosen before which position the log goes: before all that is needed, or, where little that is needed holds
/// back much, further. 2. Groups with older records write forward what they still need, and let go of the entries that their
/// machines do not ask for any more. 3. The log begins anew at the oldest record that is needed.
/// </summary>
/// <remarks>
/// The less room the disk has, the less of the log is kept for members that lag. On a full disk step 2 writes into room that only it
/// may take (<see cref="RoomFor.Reclaiming"/>).
/// </remarks>
public sealed partial class GroupHost
{
    private int _isReclaiming;
    private int _ticksToReclaim;
    private int _ticksBetween = 1;
    private string _diskProblem = "";

    /// <inheritdoc/>
    public bool IsRoomShort => HasGrown && Room < _site.Options.LogSizeKept / 4;

    /// <inheritdoc/>
    public string DiskProblem => Volatile.Read(ref _diskProblem);

    // Until what begins something is refused.
    private long Room => Math.Max(0, _site.Log.Room - Bounds.LogReserveSize - (2 << Bounds.LogPageSizeBits));

    // What stays of the newest part, for members that lag.
    private long SizeKept => Math.Min(_site.Options.LogSizeKept / 2, Room / 4);

    // What is not worth a new beginning of the log.
    private long GainMin => _site.Options.LogSizeKept / 256;

    private bool HasGrown => _site.Log.Tail - _site.Log.Begin > 2 * SizeKept;

    /// <inheritdoc/>
    public async Task ReclaimAsync()
    {
        if (_site.IsClosing || !HasGrown || Interlocked.Exchange(ref _isReclaiming, 1) != 0) return;
        var begin = _site.Log.Begin;
        try
        {
            // :: Step 1
            if (await ChooseAsync() is { } before)
            {
                // :: Step 2
                await ForwardAsync(before);
                // :: Step 3
                await _site.Retention.ReclaimAsync(_site.Log);
            }
        }
        catch (Exception e) when (e is OperationLogException or OperationCanceledException or ObjectDisposedException)
        {
            // At a later tick: when more was made durable, or never.
        }
        finally
        {
            NoteGiven(_site.Log.Begin > begin);
            Volatile.Write(ref _isReclaiming, 0);
        }
    }

    // As long as nothing can be given back, it is tried less and less often.
    private void ReclaimAtTick()
    {
        if (--_ticksToReclaim > 0) return;
        if (HasGrown) _ = ReclaimAsync();
        else NoteGiven(true);
    }

    private void NoteGiven(bool isGiven)
    {
        _ticksBetween = isGiven ? 1 : Math.Min(2 * _ticksBetween, Bounds.LogReclaimTicksMax);
        _ticksToReclaim = _ticksBetween;
        var isFull = !isGiven && Room < 2 << Bounds.LogPageSizeBits;
        Volatile.Write(ref _diskProblem, isFull ? DescribeHeld() : "");
    }

    // ---- 1 ------------------------------------------------------------------------------------------------------------

    private async ValueTask<long?> ChooseAsync()
    {
        var (begin, wanted) = (_site.Log.Begin, _site.Log.DurableUntil - SizeKept);
        var free = Math.Min(wanted, OldestNeeded().Position);
        var isFree = free - begin >= GainMin && await IsWorthItAsync(free, begin);
        if (isFree && free - begin >= (wanted - begin) / 2) return free;
        if (wanted - begin >= GainMin && await IsWorthItAsync(wanted, begin)) return wanted;
        return isFree ? free : null;
    }

    // What has to be written again is at most half of what is let go of, and there is room for it.
    private async ValueTask<bool> IsWorthItAsync(long before, long begin)
    {
        var left = Math.Min((before - begin) / 2, _site.Log.Room);
        foreach (var group in _groups.Values)
        {
            if (_site.Retention.PositionOf(group.Id) is not { } oldest || oldest >= before) continue;
            left -= await group.Log.SizeToForwardAsync(before, group.Applier.NeededFrom, left);
            if (left < 0) return false;
        }

        return true;
    }

    // What others than groups need is little, and written again.
    private (string Who, long Position) OldestNeeded()
    {
        var oldest = (Who: "nobody", Position: long.MaxValue);
        foreach (var group in _groups.Values)
        {
            var from = group.Applier.NeededFrom;
            if (group.Log.OldestNeeded(from) is { } position && position < oldest.Position)
                oldest = ($"the group of {string.Join(", ", group.Founding.Sites)} (entries from {from} on, of {group.Log.LastIndex})", position);
        }

        return oldest;
    }

    private string DescribeHeld()
    {
        var (who, position) = OldestNeeded();
        return $"the disk is full, and nothing of the operation log ({_site.Log.DiskBytes >> 20} MiB) can be given back: "
            + $"{who} needs all but the oldest {Math.Max(0, Math.Min(position, _site.Log.Tail) - _site.Log.Begin) >> 10} KiB";
    }

    // ---- 2 ------------------------------------------------------------------------------------------------------------

    private async ValueTask ForwardAsync(long before)
    {
        try
        {
            while (_site.Retention.Oldest is { } oldest && oldest.Position < before && await TryForwardAsync(oldest.Group, before))
            {
                // Until what holds the log back is new, or is not a group's.
            }
        }
        catch (OperationLogException e) when (e.Error == OperationLogError.Full)
        {
            // What was written until then may be enough to give a part back.
        }
    }

    private async ValueTask<bool> TryForwardAsync(GroupId id, long before)
    {
        if (id == default) return await ForwardMetAsync();
        if (_groups.TryGetValue(id, out var group))
        {
            var oldest = await group.Log.ForwardAsync(before, group.Applier.NeededFrom, group.Record);
            _site.Retention.Keep(id, oldest);
            return oldest >= before;
        }

        return _accepted.ContainsKey(id) ? await ForwardAcceptedAsync(id) : await _site.Retention.ForwardAsync(id, before);
    }

    private async ValueTask<bool> ForwardAcceptedAsync(GroupId id)
    {
        await _foundingGate.WaitAsync(_site.Closing);
        try
        {
            // It may have become a group meanwhile.
            if (_accepted.TryGetValue(id, out var record))
                _site.Retention.Keep(id, await new GroupLog(id, _site.Log, new RecoveredGroup(), _site.Budget, 0).RecordFoundingAsync(record, RoomFor.Reclaiming));
            return true;
        }
        finally
        {
            _foundingGate.Release();
        }
    }

    private async ValueTask<bool> ForwardMetAsync()
    {
        await _metGate.WaitAsync(_site.Closing);
        try
        {
            await RecordMetAsync([.. _site.Met], RoomFor.Reclaiming);
            return true;
        }
        finally
        {
            _metGate.Release();
        }
    }
}
