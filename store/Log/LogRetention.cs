using Cheops.Proto.Operations;

namespace Cheops.Store.Log;

/// <summary>
/// What the groups still need of the log that they share: it is kept from the oldest position that any of them names. A
/// group names a position, <see cref="IOperationLog.Tail"/> at first, before it appends its first record.
/// </summary>
public sealed class LogRetention
{
    private readonly Lock _gate = new();
    private readonly Dictionary<GroupId, long> _needed = [];
    private readonly SortedSet<(long Position, GroupId Group)> _oldestFirst = [];

    /// <summary>Groups that need something.</summary>
    public int Count
    {
        get
        {
            lock (_gate) return _needed.Count;
        }
    }

    /// <summary>The group needs what is at this position and after, and nothing before it.</summary>
    public void Keep(GroupId group, long position)
    {
        lock (_gate)
        {
            if (_needed.TryGetValue(group, out var before)) _oldestFirst.Remove((before, group));
            _needed[group] = position;
            _oldestFirst.Add((position, group));
        }
    }

    /// <summary>The group needs nothing any more.</summary>
    public void Forget(GroupId group)
    {
        lock (_gate)
        {
            if (_needed.Remove(group, out var before)) _oldestFirst.Remove((before, group));
        }
    }

    /// <summary>
    /// The group that holds back the reclaiming of disk, with the position it needs; null when none needs anything. If it
    /// lies far behind the others, it should write forward what it needs.
    /// </summary>
    public (GroupId Group, long Position)? Oldest
    {
        get
        {
            lock (_gate) return _oldestFirst.Count == 0 ? null : (_oldestFirst.Min.Group, _oldestFirst.Min.Position);
        }
    }

    /// <summary>Lets go of what no group needs; nothing, while none has named a position.</summary>
    /// <exception cref="OperationLogException">The log failed.</exception>
    public async ValueTask ReclaimAsync(IOperationLog log, CancellationToken cancellation = default)
    {
        // What is needed from a position that is still in flight on is behind what can be let go of yet.
        if (Oldest is { } oldest) await log.TruncateAsync(Math.Min(oldest.Position, log.DurableUntil), cancellation);
    }
}
