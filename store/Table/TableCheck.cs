namespace Cheops.Store.Table;

/// <summary>
/// Reads the log of a table from its beginning to its end and checks it, on a thread of its own: whoever needs a part of the
/// log waits until that part was checked, and goes on meanwhile with what comes before.
/// </summary>
internal sealed class TableCheck
{
    private readonly object _gate = new();
    private readonly Task<string?> _all;
    private long _checkedUntil;
    private bool _isOver;

    /// <summary>Begins.</summary>
    /// <param name="scan">What checks the log, and keeps what it tells.</param>
    /// <param name="files">The log's files.</param>
    /// <param name="at">Where the log begins and ends.</param>
    /// <param name="options">Sizes of the table.</param>
    public TableCheck(TableScan scan, CheckedSegmentFiles files, TableExtent at, ReplicantTableOptions options) =>
        _all = Task.Factory.StartNew(() => Run(scan, files, at, options), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Waits until the log was checked up to a position; false when it will not be: what is wrong was found before it.</summary>
    public bool Reaches(long position)
    {
        lock (_gate)
        {
            while (_checkedUntil < position && !_isOver) Monitor.Wait(_gate);
            return _checkedUntil >= position;
        }
    }

    /// <summary>Waits for the end, and tells what is wrong; null when nothing is.</summary>
    /// <exception cref="IOException">The disk failed.</exception>
    public string? Finish() => _all.GetAwaiter().GetResult();

    private string? Run(TableScan scan, CheckedSegmentFiles files, TableExtent at, ReplicantTableOptions options)
    {
        try
        {
            var bytes = new byte[options.PageSize];
            for (var page = at.Begin & -options.PageSize; page < at.Until; page += options.PageSize)
            {
                files.Read((int)(page >> options.SegmentSizeBits), page & (options.SegmentSize - 1), bytes);
                if (scan.Take(bytes, page) is { } damage) return damage;
                Advance(page + options.PageSize);
            }

            Advance(long.MaxValue);
            return scan.Finish();
        }
        finally
        {
            Advance(_checkedUntil, isOver: true);
        }
    }

    private void Advance(long until, bool isOver = false)
    {
        lock (_gate)
        {
            (_checkedUntil, _isOver) = (until, isOver);
            Monitor.PulseAll(_gate);
        }
    }
}
