using System.Collections;

namespace Cheops.Store.Table;

/// <summary>
/// Visits the last record of each key: from the log's last record to its first, so that the first one met of a key is the
/// last one written.
/// </summary>
internal sealed class TableVisit(CheckedSegmentFiles files, TableExtent at, ReplicantTableOptions options)
{
    private readonly BitArray _met = new((int)Math.Min(int.MaxValue, at.NumberBound));
    private readonly List<int> _onPage = [];

    /// <summary>Visits until the visitor has enough.</summary>
    /// <exception cref="TableException">What is on disk is not what was written.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    public void Run(ReadOnlySpan<byte> prefix, TableVisitor visitor)
    {
        var bytes = new byte[options.PageSize];
        var first = at.Begin & -options.PageSize;
        for (var page = (at.Until - 1) & -options.PageSize; page >= first; page -= options.PageSize)
        {
            files.Read((int)(page >> options.SegmentSizeBits), page & (options.SegmentSize - 1), bytes);
            Index(bytes, page);
            for (var i = _onPage.Count; i-- > 0;)
            {
                TableRecord.TryRead(bytes.AsSpan(_onPage[i]), page + _onPage[i], options, out var record);
                if (_met[(int)record.Number]) continue;
                _met[(int)record.Number] = true;
                if (record.Kind == TableRecordKind.There && record.Key.StartsWith(prefix) && !visitor(record.Key, record.Value)) return;
            }
        }
    }

    private void Index(byte[] bytes, long position)
    {
        _onPage.Clear();
        var page = new TablePage(bytes, position, options).Between(at.Begin, at.Until);
        while (page.MoveNext())
        {
            var record = page.Record;
            if (record.IsAbandoned) continue;
            if (!record.IsWhole || record.Number >= at.NumberBound) throw Damaged(record.Position);
            _onPage.Add((int)(record.Position - position));
        }

        if (page.IsDamaged) throw Damaged(position);
    }

    private static TableException Damaged(long position) =>
        new(TableError.Damaged, $"the replicant table is not what was written at position {position}; start the agent again to rebuild it");
}
