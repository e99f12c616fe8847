using System.Buffers;
using Cheops.Store.Log.Segments;
using FASTER.core;

namespace Cheops.Store.Table;

/// <summary>
/// All that changes a table's log, one at a time. A full disk never reaches FASTER: what is written is admitted only when
/// the segments that it may reach exist with all their blocks, and a segment more, so that compaction has room on a full
/// disk too.
/// </summary>
internal sealed class TableWriter(OpenedTable opened, ReplicantTableOptions options) : IDisposable
{
    /// <summary>From so many buckets on, an index of 2 MiB, memory that was grown out of is given back at once.</summary>
    internal const long LargeIndexBuckets = 1 << 15;

    private readonly Lock _gate = new();
    private readonly FasterKV<SpanByte, SpanByte> _store = opened.Store;
    private readonly TableSession _session = new(opened.Store);
    private readonly KeyNumbers _numbers = opened.Numbers;
    private TableExtent _now = opened.Checkpoints.Latest;
    // The segment of the tail is looked at again: it is missing when the disk was full at the start.
    private long _reservedUntil = opened.Checkpoints.Latest.Until & -options.SegmentSize;
    private long _count = opened.Checkpoints.Latest.Count;
    private string? _failure;

    /// <summary>Keys that are there.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>Writes a value.</summary>
    public void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        var hash = opened.Hash.Of(key);
        lock (_gate)
        {
            var before = Prepare(key, hash);
            var number = before.IsThere ? before.Number : _numbers.Take();
            Write(key, number, TableRecordKind.There, value, before, hash);
            GrowIndex();
        }
    }

    /// <summary>Removes a key.</summary>
    public void Remove(ReadOnlySpan<byte> key)
    {
        var hash = opened.Hash.Of(key);
        lock (_gate)
        {
            ThrowIfFailed();
            if (!opened.Keys.MayHold(hash)) return;
            var before = Prepare(key, hash);
            if (before.IsThere) Write(key, before.Number, TableRecordKind.Removed, default, before, hash);
        }
    }

    /// <summary>Writes all that is only in memory into the segments, and tells what the table then is.</summary>
    public TableExtent Flush()
    {
        lock (_gate)
        {
            ThrowIfFailed();
            _store.Log.Flush(wait: true);
            ThrowIfFailed();
            return _now with
            {
                Begin = _store.Log.BeginAddress,
                Until = _store.Log.TailAddress,
                Count = _count,
                NumberBound = _numbers.Bound,
                Buckets = _store.IndexSize,
            };
        }
    }

    /// <summary>
    /// Moves what is still needed of the oldest segment, or of the oldest page where there is not room for more, to the
    /// end, when at least half of the log is not needed.
    /// </summary>
    /// <returns>Whether it did.</returns>
    /// <exception cref="TableException">There is no room, or the disk failed.</exception>
    public bool CompactOldest()
    {
        lock (_gate)
        {
            ThrowIfFailed();
            var (begin, tail) = (_store.Log.BeginAddress, _store.Log.TailAddress);
            if (tail - begin < (2 * _now.LiveSize) + (2 * options.SegmentSize)) return false;
            try
            {
                return Compact(begin, options.SegmentSize);
            }
            catch (TableException e) when (e.Error == TableError.Full)
            {
                return Compact(begin, options.PageSize);
            }
        }
    }

    /// <summary>Ends the writing for good: nobody knows any more what is on the disk.</summary>
    public void Fail(string why)
    {
        lock (_gate) _failure ??= why;
    }

    /// <summary>The exception for a read that found nothing where something is, when the disk is why; null when it is not.</summary>
    /// <param name="failuresBefore">What <see cref="TableDevice.ReadFailures"/> was before the read.</param>
    public TableException? ReadFailure(int failuresBefore)
    {
        if (opened.Device.ReadFailures == failuresBefore) return null;

        // What could not be written is not what was written either.
        if (opened.Device.WriteFailure is not null) return Damaged();
        var cause = opened.Device.ReadFailure!;
        return new TableException(
            cause is SegmentDamagedException ? TableError.Damaged : TableError.Failed, $"the replicant table cannot be read: {cause.Message}", cause);
    }

    /// <summary>The exception for a record that is not what was written.</summary>
    public TableException Damaged() => opened.Device.WriteFailure is { } failure
        ? new TableException(TableError.Failed, $"the replicant table could not be written: {failure.Message}", failure)
        : new TableException(TableError.Damaged, "a record of the replicant table is not what was written; start the agent again to rebuild it");

    private TableReading Prepare(ReadOnlySpan<byte> key, ulong hash)
    {
        ThrowIfFailed();
        Reserve(_store.Log.TailAddress + options.SegmentSize + (4 * options.PageSize));
        _session.Reading.Clear();
        if (!opened.Keys.MayHold(hash)) return _session.Reading;
        var failures = opened.Device.ReadFailures;
        _session.Read(key);
        if (!_session.Reading.IsFound && ReadFailure(failures) is { } failure) throw failure;
        if (_session.Reading is { IsFound: true, IsWhole: false }) throw Damaged();
        return _session.Reading;
    }

    private void Write(ReadOnlySpan<byte> key, uint number, TableRecordKind kind, ReadOnlySpan<byte> value, TableReading before, ulong hash)
    {
        var size = TableRecord.PrefixSize + value.Length;
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        var stored = buffer.AsSpan(0, size);
        try
        {
            TableRecord.Write(stored, number, kind, value);
            _session.Write(key, stored);
            Account(before, kind == TableRecordKind.There ? (TableRecord.Checksum(key, stored), TableRecord.SizeOf(key.Length, size)) : default);
        }
        catch (FasterException e)
        {
            _failure = e.Message;
            ThrowIfFailed();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (before.IsThere == (kind == TableRecordKind.There)) return;
        if (before.IsThere)
        {
            opened.Keys.Remove(hash);
            _numbers.Give(number);
        }
        else
        {
            opened.Keys.Add(hash);
        }

        Volatile.Write(ref _count, _count + (before.IsThere ? -1 : 1));
    }

    private void Account(TableReading before, (uint Checksum, int Size) after)
    {
        var (checksum, size) = before.IsThere ? (before.Checksum, before.RecordSize) : default;
        _now = _now with { Sum = _now.Sum - checksum + after.Checksum, LiveSize = _now.LiveSize - size + after.Size };
    }

    private bool Compact(long begin, long unit)
    {
        var until = (begin & -unit) + unit;
        if (until > _store.Log.SafeReadOnlyAddress) return false;
        // Twice: the pages that it goes to may be filled worse than those that it comes from.
        Reserve(_store.Log.TailAddress + (2 * (until - begin)));
        var failures = opened.Device.ReadFailures;
        Check(begin, until);
        _store.Log.Compact<Empty, TableReading, Empty, TableFunctions, TableCompaction>(
            TableFunctions.Instance, default, until, CompactionType.Lookup);
        // The rest of the last page holds nothing.
        _store.Log.ShiftBeginAddress(until);
        if (ReadFailure(failures) is not { } failure) return true;
        _failure = failure.Message;
        throw failure;
    }

    /// <summary>Reads what is about to be moved: FASTER would pass over what it cannot read.</summary>
    private void Check(long begin, long until)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(options.PageSize);
        try
        {
            for (var page = begin & -options.PageSize; page < until; page += options.PageSize)
                opened.Files.Read((int)(page >> options.SegmentSizeBits), page & (options.SegmentSize - 1), bytes.AsSpan(0, options.PageSize));
        }
        catch (SegmentDamagedException e)
        {
            throw new TableException(TableError.Damaged, e.Message, e);
        }
        catch (IOException e)
        {
            throw new TableException(TableError.Failed, $"the replicant table cannot be read: {e.Message}", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Makes the segments that a record appended at a position may reach: the end of the next page.</summary>
    private void Reserve(long position)
    {
        var needed = (position & -options.PageSize) + (2 * options.PageSize);
        try
        {
            while (_reservedUntil < needed)
            {
                opened.Files.Reserve((int)(_reservedUntil >> options.SegmentSizeBits));
                _reservedUntil += options.SegmentSize;
            }
        }
        catch (SegmentsFullException e)
        {
            throw new TableException(TableError.Full, $"the replicant table cannot grow: {e.Message}; free some room", e);
        }
        catch (IOException e)
        {
            throw new TableException(TableError.Failed, $"the replicant table cannot grow: {e.Message}", e);
        }
    }

    private void GrowIndex()
    {
        if (TableExtent.BucketsFor(_count) <= _store.IndexSize) return;
        _store.GrowIndex();
        // The index that it had is half as large as the new one, and nothing else would make room of it for a long time.
        if (_store.IndexSize >= LargeIndexBuckets) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    private void ThrowIfFailed()
    {
        var failure = opened.Device.WriteFailure;
        if ((failure?.Message ?? _failure) is not { } why) return;
        throw new TableException(
            TableError.Failed, $"the replicant table cannot be written any more ({why}); see to the disk and start the agent again", failure);
    }

    public void Dispose() => _session.Dispose();
}
