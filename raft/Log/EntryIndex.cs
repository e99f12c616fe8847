namespace Cheops.Raft.Log;

/// <summary>
/// Where each entry of a group is in the site's log, and in which term it was made: 8 bytes an entry, and a few for each
/// term. Entries before <see cref="First"/> are part of a snapshot, of which only the last one's term is known.
/// </summary>
internal sealed class EntryIndex
{
    // Terms[i] begins at Starts[i]; the snapshot's last entry counts as one that is there.
    private readonly List<(long Start, long Term)> _terms = [];
    private long[] _positions = [];
    private int _offset;
    private int _count;

    /// <summary>Index of the first entry that is there, or that would be.</summary>
    public long First { get; private set; } = 1;

    /// <summary>Index of the last entry, which is the snapshot's when none is there.</summary>
    public long Last => First + _count - 1;

    /// <summary>Term of the last entry before <see cref="First"/>.</summary>
    public long SnapshotTerm { get; private set; }

    /// <summary>The term of an entry: 0 at index 0; null when it is not there.</summary>
    public long? TermOf(long index)
    {
        if (index == First - 1) return SnapshotTerm;
        if (index < First || index > Last) return null;
        var low = 0;
        for (var high = _terms.Count - 1; low < high;)
        {
            var middle = (low + high + 1) / 2;
            if (_terms[middle].Start <= index) low = middle;
            else high = middle - 1;
        }

        return _terms[low].Term;
    }

    /// <summary>The position of an entry that is there.</summary>
    public long PositionOf(long index)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(index, First);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(index, Last);
        return _positions[_offset + (int)(index - First)];
    }

    /// <summary>Adds an entry after the last.</summary>
    public void Add(long term, long position)
    {
        if (_terms.Count == 0 || _terms[^1].Term != term) _terms.Add((Last + 1, term));
        MakeRoom();
        _positions[_offset + _count++] = position;
    }

    /// <summary>The entry was written again, further on.</summary>
    public void Move(long index, long position)
    {
        if (index >= First && index <= Last) _positions[_offset + (int)(index - First)] = position;
    }

    /// <summary>Drops the entry and all after it.</summary>
    public void DropFrom(long index)
    {
        if (index > Last) return;
        _count = (int)Math.Max(0, index - First);
        while (_terms.Count > 0 && _terms[^1].Start > Last) _terms.RemoveAt(_terms.Count - 1);
    }

    /// <summary>The entries up to <paramref name="index"/>, which is there, are part of a snapshot from now on.</summary>
    public void DropUntil(long index)
    {
        if (index < First || index > Last) return;
        SnapshotTerm = TermOf(index)!.Value;
        _offset += (int)(index - First + 1);
        _count -= (int)(index - First + 1);
        First = index + 1;
        while (_terms.Count > 1 && _terms[1].Start <= First) _terms.RemoveAt(0);
        if (_count == 0) _terms.Clear();
        else _terms[0] = (First, _terms[0].Term);
        if (_offset > 64 && _offset > _positions.Length / 2) Compact();
    }

    /// <summary>Everything up to <paramref name="index"/> is a snapshot; nothing else is there.</summary>
    public void Reset(long index, long term)
    {
        _terms.Clear();
        (_positions, _offset, _count) = ([], 0, 0);
        (First, SnapshotTerm) = (index + 1, term);
    }

    private void MakeRoom()
    {
        if (_offset + _count < _positions.Length) return;
        if (_offset > _count) Compact();
        else Array.Resize(ref _positions, Math.Max(4, _positions.Length * 2));
    }

    private void Compact()
    {
        _positions = _positions.AsSpan(_offset, _count).ToArray();
        _offset = 0;
        Array.Resize(ref _positions, Math.Max(4, _count + _count / 2));
    }
}
