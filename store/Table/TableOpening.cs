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
/// Opens a table. 1. The checkpoints tell where its log lies. 2. The log is read and checked. 3. Meanwhile, on another thread,
/// FASTER recovers its index from those pages that were. 4. When anything is not what was written, an empty table is begun.
/// </summary>
internal static class TableOpening
{
    private const int BucketSize = 64;

    public static OpenedTable Open(ISegmentFiles log, ISegmentFiles marks, ReplicantTableOptions options, ulong secret)
    {
        // :: Step 1
        var checkpoints = new TableCheckpoints(marks);
        var files = new CheckedSegmentFiles(log, options.SegmentSize);
        var damage = checkpoints.Damage;
        if (damage is null && checkpoints.Latest.Number > 0 && Recover(files, checkpoints, options, out damage) is { } opened) return opened;

        // :: Step 4
        BeginEmpty(files, checkpoints, secret);
        return Recover(files, checkpoints, options, out _)! with { Damage = damage };
    }

    private static OpenedTable? Recover(CheckedSegmentFiles files, TableCheckpoints checkpoints, ReplicantTableOptions options, out string? damage)
    {
        var at = checkpoints.Latest;
        files.RemoveOutside(at.Begin >> options.SegmentSizeBits, int.MaxValue);
        ZeroFrom(files, at.Until, options);

        // :: Step 2
        var hash = new KeyHash(at.Secret, options.HashMask);
        TableScan? scan = new(at, options, hash);
        var check = new TableCheck(scan, files, at, options);

        // :: Step 3
        var device = new TableDevice(files) { Check = check };
        FasterKV<SpanByte, SpanByte>? store = null;
        try
        {
            try
            {
                store = Recover(device, at, options, hash);
            }
            finally
            {
                // It reads the files until then, and what it has to say of them counts first.
                damage = check.Finish();
            }

            if (damage is null && device.ReadFailure is { } failure) throw new IOException(failure.Message, failure);
        }
        catch
        {
            store?.Dispose();
            throw;
        }

        if (damage is not null)
        {
            store.Dispose();
            return null;
        }

        device.Check = null;
        var opened = new OpenedTable(store, device, files, checkpoints, hash, scan.Keys, scan.Numbers, null);
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
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }
}
