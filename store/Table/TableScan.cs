namespace Cheops.Store.Table;

/// <summary>
/// Reads a table's log from its beginning as a checkpoint tells of it: checks every record, and finds out which keys are
/// there. What the records tell together must be what the checkpoint says, so that none can be missing.
/// </summary>
internal sealed class TableScan(TableExtent at, ReplicantTableOptions options, KeyHash hash)
{
    // By number: the last record of the key that has it.
    private readonly Last[] _last = new Last[at.NumberBound];
    // Keys, by their hashes, whose last record so far was marked as replaced.
    private readonly HashSet<ulong> _replaced = [];
    private long _count;
    private ulong _sum;

    /// <summary>The keys that are there.</summary>
    public FingerprintSet Keys { get; } = new(at.Count);

    /// <summary>The numbers in use.</summary>
    public KeyNumbers Numbers => KeyNumbers.From(at.NumberBound, number => _last[number].IsThere);

    /// <summary>Takes the next page; returns what is wrong with it, or null.</summary>
    public string? Take(ReadOnlySpan<byte> bytes, long position)
    {
        var page = new TablePage(bytes, position, options).Between(at.Begin, at.Until);
        while (page.MoveNext())
        {
            var record = page.Record;
            if (record.IsAbandoned) continue;
            if (!record.IsWhole || record.Number >= at.NumberBound || record.Kind is not (TableRecordKind.There or TableRecordKind.Removed))
                return $"the record at position {record.Position} is not what was written";
            if (!TryTake(record)) return $"records before the one at position {record.Position} are missing";
        }

        return page.IsDamaged ? $"there is no record where one was, on the page at position {position}" : null;
    }

    /// <summary>What is wrong with all of it together; null when it is what the checkpoint tells of.</summary>
    public string? Finish()
    {
        if (_replaced.Count > 0) return $"{_replaced.Count} records are missing that replaced others";
        return _count == at.Count && _sum == at.Sum ? null : $"the records found tell of {_count} keys, the checkpoint of {at.Count}; some are missing or old";
    }

    private bool TryTake(in TableRecord record)
    {
        var key = hash.Of(record.Key);
        ref var last = ref _last[record.Number];
        // A number goes to another key only after its key was removed.
        if (last.IsThere && last.KeyHash != (uint)(key >> 32)) return false;
        var isThere = record.Kind == TableRecordKind.There;
        if (last.IsThere) _sum -= last.Checksum;
        if (last.IsThere && !isThere && !Keys.Remove(key)) return false;
        if (!last.IsThere && isThere) Keys.Add(key);
        _count += (isThere ? 1 : 0) - (last.IsThere ? 1 : 0);
        last = new Last(isThere ? TableRecord.Checksum(record.Key, record.Stored) : 0, (uint)(key >> 32), isThere);
        _sum += last.Checksum;
        if (record.IsReplaced) _replaced.Add(key);
        else if (_replaced.Count > 0) _replaced.Remove(key);
        return true;
    }

    private readonly record struct Last(uint Checksum, uint KeyHash, bool IsThere);
}
