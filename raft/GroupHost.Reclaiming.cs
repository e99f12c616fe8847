using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>
/// Gives disk back: a group whose oldest record holds the site's log back writes forward what it still needs, and lets go
/// of the entries that its machine does not ask for any more.
/// </summary>
public sealed partial class GroupHost
{
    private int _isReclaiming;
    private long _reclaimedAt;

    /// <summary>Lets go of what no group needs before the newest part of the log.</summary>
    public async Task ReclaimAsync()
    {
        if (_site.IsClosing || Interlocked.Exchange(ref _isReclaiming, 1) != 0) return;
        try
        {
            _reclaimedAt = _site.Log.Tail;
            var before = _site.Log.DurableUntil - (_site.Options.LogSizeKept / 2);
            // What has to be written again is less than what is let go of, or it is left where it is.
            var end = _reclaimedAt + (_site.Options.LogSizeKept / 4);
            while (_site.Retention.Oldest is { } oldest && oldest.Position < before && await TryForwardAsync(oldest.Group, before, end))
            {
                // Until what holds the log back is new, or is not a group's.
            }

            await _site.Retention.ReclaimAsync(_site.Log);
        }
        catch (OperationLogException)
        {
            // At the next tick: when there is room again, or never.
        }
        finally
        {
            Volatile.Write(ref _isReclaiming, 0);
        }
    }

    private bool HasGrown() =>
        _site.Log.Tail - _site.Log.Begin > _site.Options.LogSizeKept && _site.Log.Tail - _reclaimedAt > _site.Options.LogSizeKept / 2;

    private async ValueTask<bool> TryForwardAsync(GroupId id, long before, long end)
    {
        if (id == default) return await ForwardMetAsync();
        if (_groups.TryGetValue(id, out var group))
        {
            if (await group.Log.ForwardAsync(before, end, group.Applier.NeededFrom, group.Record) is not { } oldest) return false;
            _site.Retention.Keep(id, oldest);
            return oldest >= before;
        }

        if (!_accepted.TryGetValue(id, out var record)) return false;
        var position = _site.Log.Tail;
        await new GroupLog(id, _site.Log, new RecoveredGroup(), _site.Budget, 0).RecordFoundingAsync(record);
        _site.Retention.Keep(id, position);
        return true;
    }

    private async ValueTask<bool> ForwardMetAsync()
    {
        await _metGate.WaitAsync(_site.Closing);
        try
        {
            await RecordMetAsync([.. _site.Met]);
            return true;
        }
        finally
        {
            _metGate.Release();
        }
    }
}
