using Cheops.Store.Log.Segments;
using FASTER.core;

namespace Cheops.Store.Table;

/// <summary>A table as it was opened.</summary>
internal sealed record OpenedTable(
    FasterKV<SpanByte, SpanByte> Store,
    TableDevice Device,
    CheckedSegmentFiles Files,
    TableCheckpoints Checkpoints,
    KeyHash Hash,
    FingerprintSet Keys,
    KeyNumbers Numbers,
    string? Damage);

/// <summary>
/// Opens a table. 1. The checkpoints tell where its log lies. 2. The log is read and checked, before FASTER sees any of it.
/// 3. When anything is not what was written, an empty table is begun. 4. FASTER recovers its index from the log.
/// </summary>
internal static class TableOpening
{
    private const int BucketSize = 64;

    public static OpenedTable Open(ISegmentFiles log, ISegmentFiles marks, ReplicantTableOptions options, ulong secret)
    {
        // :: Step 1
        var checkpoints = new TableCheckpoints(marks);
        var files = new CheckedSegmentFiles(log, options.SegmentSize);
        var isNew = checkpoints.Latest.Number == 0 && checkpoints.Damage is null;

        // :: Step 2
        var hash = new KeyHash(checkpoints.Latest.Secret, options.HashMask);
        TableScan? scan = new(checkpoints.Latest, options, hash);
        var damage = checkpoints.Damage ?? (isNew ? null : Read(scan, files, checkpoints.Latest, options));

        // :: Step 3
        if (isNew || damage is not null)
        {
            BeginEmpty(files, checkpoints, secret);
            hash = new KeyHash(secret, options.HashMask);
            scan = new TableScan(checkpoints.Latest, options, hash);
        }

        files.RemoveOutside(checkpoints.Latest.Begin >> options.SegmentSizeBits, int.MaxValue);
        ZeroFrom(files, checkpoints.Latest.Until, options);

        // :: Step 4
        var device = new TableDevice(files);
        var store = Recover(device, checkpoints.Latest, options, hash);
        var opened = new OpenedTable(store, device, files, checkpoints, hash, scan.Keys, scan.Numbers, damage);
        if (store.IndexSize >= TableWriter.LargeIndexBuckets) GiveBackMemory(ref scan);
        return opened;
    }

    // What the scan had in memory, as much as the table itself has, is not needed again.
    private static void GiveBackMemory(ref TableScan? scan)
    {
        scan = null;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    private static void BeginEmpty(CheckedSegmentFiles files, TableCheckpoints checkpoints, ulong secret)
    {
        // First told, then done: a crash in between finds an empty table, and segments that hold nothing of it.
        checkpoints.Write(TableExtent.Empty(checkpoints.Latest.Number + 1, secret), default);
        files.RemoveOutside(0, -1);
    }

    /// <returns>What is wrong; null when nothing is.</returns>
    private static string? Read(TableScan scan, CheckedSegmentFiles files, TableExtent at, ReplicantTableOptions options)
    {
        var bytes = new byte[options.PageSize];
        for (var page = at.Begin & -options.PageSize; page < at.Until; page += options.PageSize)
        {
            files.Read((int)(page >> options.SegmentSizeBits), page & (options.SegmentSize - 1), bytes);
            if (scan.Take(bytes, page) is { } damage) return damage;
        }

        return scan.Finish();
    }

    private static void ZeroFrom(CheckedSegmentFiles files, long position, ReplicantTableOptions options)
    {
        // FASTER takes what stands on the last page behind the end for records, if it ever comes to be before the end.
        var at = position & (options.SegmentSize - 1);
        files.Zero((int)(position >> options.SegmentSizeBits), at, (at & -options.PageSize) + options.PageSize);
    }

    private static FasterKV<SpanByte, SpanByte> Recover(TableDevice device, TableExtent at, ReplicantTableOptions options, KeyHash hash)
    {
        using var settings = new FasterKVSettings<SpanByte, SpanByte>
        {
            IndexSize = at.Buckets * BucketSize,
            LogDevice = device,
            PageSize = options.PageSize,
            MemorySize = 1L << options.MemorySizeBits,
            SegmentSize = options.SegmentSize,
            EqualityComparer = new TableKeyComparer(hash),
            CheckpointManager = new RecoveredLog(at),
            ConcurrencyControlMode = ConcurrencyControlMode.LockTable,
        };
        var store = new FasterKV<SpanByte, SpanByte>(settings);
        try
        {
            if (at.Until > TableExtent.FirstPosition) store.Recover(undoNextVersion: false);
            if (device.ReadFailure is { } failure) throw new IOException(failure.Message, failure);
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }
}
