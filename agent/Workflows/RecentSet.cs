namespace Cheops.Agent.Workflows;

/// <summary>The last so many keys that were added. Not thread-safe.</summary>
internal sealed class RecentSet<TKey>(int capacity) where TKey : notnull
{
    private readonly HashSet<TKey> _keys = [];
    private readonly Queue<TKey> _order = new();

    public void Add(TKey key)
    {
        if (!_keys.Add(key))
            return;
        _order.Enqueue(key);
        if (_order.Count > capacity)
            _keys.Remove(_order.Dequeue());
    }

    public void Clear()
    {
        _keys.Clear();
        _order.Clear();
    }

    public bool Contains(TKey key) => _keys.Contains(key);

    public HashSet<TKey>.AlternateLookup<ReadOnlySpan<char>> Texts => _keys.GetAlternateLookup<ReadOnlySpan<char>>();
}
