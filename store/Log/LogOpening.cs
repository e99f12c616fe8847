using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;
using FASTER.core;

namespace Cheops.Store.Log;

/// <summary>A log as it was opened: whole, and cut where it was damaged.</summary>
internal sealed record OpenedLog(FasterLog Log, SegmentDevice Device, CommitSlots Slots, LogExtent At, LogRecovery Recovery);

/// <summary>
/// Opens a log. 1. The slots tell how far it goes at least, and <see cref="LogTail"/> how far it goes. 2. Every record is read and
/// checked; the first that fails ends the log. 3. A log that ends early is cut there and opened again.
/// </summary>
internal static class LogOpening
{
    // Where FASTER puts the first record of a log.
    private const long FirstPosition = 64;

    public static OpenedLog Open(ISegmentFiles files, OperationLogOptions options, LogRecordVisitor? visit, Action<LogDamage?>? beforeRepair)
    {
        // :: Step 1
        var slots = new CommitSlots(files);
        if (slots.Latest is not { } kept) return OpenNew(files, options, slots, beforeRepair);
        using var tail = new LogTail(files, options);
        RemoveSegmentsBelow(files, kept.Begin, options);
        var at = tail.FindEnd(kept);
        if (at != kept) slots.Assume(at);
        tail.Clear(at.Until);

        // :: Step 2
        var opened = OpenAt(files, options, slots);
        var scan = new Scan(at);
        var suspect = slots.Damaged ? new LogDamage(LogDamageReason.CommitSlot, at.Until, 0) : null;
        try
        {
            scan.Run(opened.Log, visit);
            if (opened.Device.ReadFailure is { } failure)
                throw new OperationLogException(OperationLogError.Failed, $"the operation log cannot be read: {failure.Message}", failure);
            if ((scan.Damage ?? suspect) is { } lost) beforeRepair?.Invoke(lost);
        }
        catch
        {
            Close(opened);
            throw;
        }

        if (scan.Damage is null)
        {
            slots.Keep();
            return opened with { Recovery = new LogRecovery(scan.Records, at.Begin, at.Until, suspect) };
        }

        // :: Step 3
        Close(opened);
        var cut = at with { Number = at.Number + 1, Until = scan.Until, UntilSequence = scan.NextSequence };
        slots.Rewrite(cut);
        tail.Clear(cut.Until);
        return OpenAt(files, options, slots) with { Recovery = new LogRecovery(scan.Records, cut.Begin, cut.Until, scan.Damage) };
    }

    public static void Close(OpenedLog opened)
    {
        opened.Log.Dispose();
        opened.Device.Dispose();
    }

    private static OpenedLog OpenNew(ISegmentFiles files, OperationLogOptions options, CommitSlots slots, Action<LogDamage?>? beforeRepair)
    {
        if (slots.Damaged)
        {
            throw new OperationLogException(
                OperationLogError.Damaged,
                "both commit slots of the operation log are damaged; move its files away, and this site is brought up anew by the others");
        }

        beforeRepair?.Invoke(null);
        // Segments of a log that never committed hold nothing that was acknowledged.
        foreach (var segment in files.List()) files.Remove(segment);
        slots.Rewrite(new LogExtent(1, FirstPosition, FirstPosition, 1, 1));
        return OpenAt(files, options, slots);
    }

    private static OpenedLog OpenAt(ISegmentFiles files, OperationLogOptions options, CommitSlots slots)
    {
        var at = slots.Latest!.Value;
        slots.Next = at;
        // A log that ends at a segment's end has no segment for its tail yet.
        Reserve(files, at.Until >> options.SegmentSizeBits);
        var device = new SegmentDevice(files);
        try
        {
            var log = new FasterLog(new FasterLogSettings
            {
                LogDevice = device,
                LogCommitManager = slots,
                PageSizeBits = options.PageSizeBits,
                MemorySizeBits = options.MemorySizeBits,
                SegmentSizeBits = options.SegmentSizeBits,
                // Ours covers what FASTER's does not: the tail that recovery loads into memory.
                LogChecksum = LogChecksumType.None,
                FastCommitMode = false,
                TryRecoverLatest = false,
            });
            log.Recover();
            return new OpenedLog(log, device, slots, at, new LogRecovery(0, at.Begin, at.Until, null));
        }
        catch (Exception e)
        {
            device.Dispose();
            throw new OperationLogException(OperationLogError.Failed, $"the operation log cannot be opened: {e.Message}", e);
        }
    }

    private static void Reserve(ISegmentFiles files, long segment)
    {
        try
        {
            files.Reserve((int)segment);
        }
        catch (SegmentsFullException)
        {
            // Appends will say so; reading needs no segment that does not exist.
        }
    }

    private static void RemoveSegmentsBelow(ISegmentFiles files, long begin, OperationLogOptions options)
    {
        // Left by a crash between a commit and the removal that follows it.
        foreach (var segment in files.List().TakeWhile(s => s < begin >> options.SegmentSizeBits)) files.Remove(segment);
    }

    /// <summary>One reading of a whole log, up to the first record that is not what was written.</summary>
    private sealed class Scan(LogExtent at)
    {
        public long Records { get; private set; }

        /// <summary>Position after the last intact record.</summary>
        public long Until { get; private set; } = at.Begin;

        public ulong NextSequence { get; private set; } = at.BeginSequence;

        public LogDamage? Damage { get; private set; }

        public unsafe void Run(FasterLog log, LogRecordVisitor? visit)
        {
            using var records = log.Scan(at.Begin, at.Until);
            while (NextSequence != at.UntilSequence)
            {
                byte* bytes;
                int length;
                long position, next;
                try
                {
                    if (!records.UnsafeGetNext(out bytes, out length, out position, out next))
                    {
                        Report(LogDamageReason.Missing);
                        return;
                    }
                }
                catch (FasterException)
                {
                    Report(LogDamageReason.Missing);
                    return;
                }

                try
                {
                    if (!Take(new ReadOnlySpan<byte>(bytes, length), position, visit)) return;
                    Until = next;
                }
                finally
                {
                    records.UnsafeRelease();
                }
            }

            // The slot says that the log ends here, and where the last record ends is behind any padding.
            Until = at.Until;
        }

        private bool Take(ReadOnlySpan<byte> bytes, long position, LogRecordVisitor? visit)
        {
            var status = LogRecord.ReadHeader(bytes, out var record);
            if (status == LogRecordStatus.NewerVersion)
            {
                throw LogTail.NewerVersion(position);
            }

            if (status != LogRecordStatus.Understood || record.Sequence != NextSequence)
            {
                Report(status == LogRecordStatus.Checksum ? LogDamageReason.Checksum : LogDamageReason.Missing);
                return false;
            }

            visit?.Invoke(position, record, bytes[LogRecord.HeaderSize..]);
            NextSequence++;
            Records++;
            return true;
        }

        private void Report(LogDamageReason reason) =>
            Damage = new LogDamage(reason, Until, (long)(at.UntilSequence - NextSequence));
    }
}
