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
    private readonly Dictionary<GroupId, Func<long, ValueTask>> _forwarding = [];
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

    /// <summary>The position that a group needs; null when it needs nothing.</summary>
    public long? PositionOf(GroupId group)
    {
        lock (_gate) return _needed.TryGetValue(group, out var position) ? position : null;
    }

    /// <summary>Says how one that holds records like a group, and is none, writes forward what it needs before a position.</summary>
    /// <param name="owner">Who it is.</param>
    /// <param name="forward">Durable, and named by <see cref="Keep"/>, when it completes.</param>
    public void ForwardBy(GroupId owner, Func<long, ValueTask> forward)
    {
        lock (_gate) _forwarding[owner] = forward;
    }

    /// <summary>Has one write forward for which <see cref="ForwardBy"/> says how.</summary>
    /// <returns>Whether it needs nothing before the position any more.</returns>
    public async ValueTask<bool> ForwardAsync(GroupId owner, long before)
    {
        Func<long, ValueTask>? forward;
        lock (_gate)
        {
            if (!_forwarding.TryGetValue(owner, out forward)) return false;
        }

        await forward(before);
        return PositionOf(owner) is not { } position || position >= before;
    }

    /// <summary>Lets go of what no group needs; nothing, while none has named a position.</summary>
    /// <exception cref="OperationLogException">The log failed.</exception>
    public async ValueTask ReclaimAsync(IOperationLog log, CancellationToken cancellation = default)
    {
        // What is needed from a position that is still in flight on is behind what can be let go of yet.
        if (Oldest is { } oldest) await log.TruncateAsync(Math.Min(oldest.Position, log.DurableUntil), cancellation);
    }
}
