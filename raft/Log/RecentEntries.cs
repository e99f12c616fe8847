using Cheops.Proto;
using Cheops.Raft.Protocol;

namespace Cheops.Raft.Log;

/// <summary>What the groups of a site hold of their newest entries together.</summary>
internal sealed class RecentBudget
{
    private long _held;

    /// <summary>Bytes held.</summary>
    public long Held => Volatile.Read(ref _held);

    /// <summary>Whether groups should hold less.</summary>
    public bool IsSpent => Held > Bounds.GroupRecentTotalMax;

    /// <summary>Holds more, or less.</summary>
    public void Change(long bytes) => Interlocked.Add(ref _held, bytes);
}

/// <summary>A group's newest entries in memory, without a gap up to its last one. Guarded by its owner.</summary>
internal sealed class RecentEntries(RecentBudget budget)
{
    private LoggedEntry?[] _ring = [];
    private int _start;
    private int _count;
    private long _bytes;

    /// <summary>Index of the first entry held.</summary>
    public long First { get; private set; } = 1;

    /// <summary>The entry, or null when it is not held.</summary>
    public LoggedEntry? Find(long index) => index < First || index >= First + _count ? null : _ring[At(index)];

    /// <summary>Adds the entry after the last.</summary>
    public void Add(long index, LoggedEntry entry)
    {
        if (_count == 0) First = index;
        if (_count == _ring.Length) Grow();
        _ring[At(First + _count)] = entry;
        _count++;
        Hold(entry.Bytes.Length);
    }

    /// <summary>Drops the entry and all after it.</summary>
    public void DropFrom(long index)
    {
        while (_count > 0 && First + _count > index) Drop(First + _count-- - 1);
    }

    /// <summary>Whether there are entries that should be let go of.</summary>
    public bool HoldsTooMuch => _count > 0 && (_bytes > Bounds.GroupRecentSizeMax || budget.IsSpent);

    /// <summary>Lets go of the oldest entry.</summary>
    public void DropFirst()
    {
        Drop(First);
        First++;
        _start = (_start + 1) % _ring.Length;
        _count--;
    }

    /// <summary>Lets go of all entries.</summary>
    public void Clear()
    {
        while (_count > 0) DropFirst();
        (_ring, _start) = ([], 0);
    }

    private void Drop(long index)
    {
        Hold(-_ring[At(index)]!.Bytes.Length);
        _ring[At(index)] = null;
    }

    private void Hold(long bytes)
    {
        _bytes += bytes;
        budget.Change(bytes);
    }

    private int At(long index) => (int)((_start + (index - First)) % _ring.Length);

    private void Grow()
    {
        var larger = new LoggedEntry?[Math.Max(8, _ring.Length * 2)];
        for (var i = 0; i < _count; i++) larger[i] = _ring[(_start + i) % _ring.Length];
        (_ring, _start) = (larger, 0);
    }
}
