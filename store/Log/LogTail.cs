using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Log;

/// <summary>
/// What lies behind the end that the slots of a log tell of. 1. Records that were synced after the last slot, and may have been
/// acknowledged, are found by reading on. 2. What lies behind them is zeroed, so that nothing of a former life is ever taken for a record.
/// </summary>
internal sealed unsafe class LogTail : IDisposable
{
    // FASTER puts a length before each record, and pads to 4 bytes after it.
    private const int LengthSize = sizeof(int);
    private const int SectorSize = 512;

    private readonly ISegmentFiles _files;
    private readonly OperationLogOptions _options;
    private readonly byte* _page;

    /// <param name="files">The files of the log.</param>
    /// <param name="options">Its sizes.</param>
    public LogTail(ISegmentFiles files, OperationLogOptions options)
    {
        (_files, _options) = (files, options);
        // Not the framework's memory, which would keep it: it is needed for a moment, at the start.
        _page = (byte*)NativeMemory.Alloc((nuint)options.PageSize);
    }

    private Span<byte> Page => new(_page, _options.PageSize);

    // ---- 1 ------------------------------------------------------------------------------------------------------------

    /// <summary>Finds the end of a log; what is read beyond <paramref name="kept"/> is durable when it returns.</summary>
    /// <param name="kept">What the slots tell.</param>
    /// <exception cref="OperationLogException">It cannot be read, or was written by a newer version.</exception>
    public LogExtent FindEnd(LogExtent kept)
    {
        var (until, sequence) = (kept.Until, kept.UntilSequence);
        for (var position = until; ; position = PageAt(position) + _options.PageSize)
        {
            var from = (int)(position - PageAt(position));
            Read(PageAt(position));
            var to = from;
            while (SizeOfRecord(Page[to..], sequence, PageAt(position) + to) is > 0 and var size)
            {
                to += size;
                sequence++;
            }

            if (to > from)
            {
                // Whoever wrote it may have been killed before it was synced, and a sync is only of what was written here.
                Write(position, Page[from..to]);
                until = PageAt(position) + to;
            }

            // A record that does not fit on a page's rest is on the next one; each page begins with a record.
            if (to == 0 || Page[to..].ContainsAnyExcept((byte)0)) break;
        }

        if (until == kept.Until) return kept;
        _files.Sync();
        return kept with { Number = kept.Number + 1, Until = until, UntilSequence = sequence };
    }

    /// <summary>How far the next record is from one that begins here; 0 when none begins here.</summary>
    private static int SizeOfRecord(ReadOnlySpan<byte> bytes, ulong sequence, long position)
    {
        if (bytes.Length < LengthSize) return 0;
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (length < LogRecord.HeaderSize || length > bytes.Length - LengthSize) return 0;
        return LogRecord.ReadHeader(bytes.Slice(LengthSize, length), out var record) switch
        {
            LogRecordStatus.NewerVersion => throw NewerVersion(position),
            LogRecordStatus.Understood when record.Sequence == sequence => (LengthSize + length + 3) & ~3,
            _ => 0,
        };
    }

    /// <summary>Says that a record cannot be understood here.</summary>
    public static OperationLogException NewerVersion(long position) =>
        new(OperationLogError.Damaged, $"the operation log was written by a newer Cheops (position {position}); start that one");

    // ---- 2 ------------------------------------------------------------------------------------------------------------

    /// <summary>Zeroes all that lies behind the end of a log; durable when it returns.</summary>
    public void Clear(long until)
    {
        foreach (var segment in _files.List())
        {
            var begin = (long)segment << _options.SegmentSizeBits;
            var from = Math.Max(begin, until);
            var end = begin + _options.SegmentSize;
            // Zeros that are there already may not have been synced: the first sector is always written.
            if (from < end) Zero(from, (int)Math.Min(SectorSize, end - from));
            for (; from < end; from = PageAt(from) + _options.PageSize)
            {
                Read(PageAt(from));
                var left = (int)(PageAt(from) + _options.PageSize - from);
                if (Page[^left..].ContainsAnyExcept((byte)0)) Zero(from, left);
            }
        }

        _files.Sync();
    }

    private void Zero(long position, int count)
    {
        Page[..count].Clear();
        Write(position, Page[..count]);
    }

    private long PageAt(long position) => position & ~(_options.PageSize - 1L);

    private void Read(long page)
    {
        try
        {
            _files.Read((int)(page >> _options.SegmentSizeBits), page & (_options.SegmentSize - 1), Page);
        }
        catch (IOException e)
        {
            throw new OperationLogException(OperationLogError.Failed, $"the operation log cannot be read: {e.Message}", e);
        }
    }

    private void Write(long position, ReadOnlySpan<byte> bytes) => _files.Write((int)(position >> _options.SegmentSizeBits), position & (_options.SegmentSize - 1), bytes);

    public void Dispose() => NativeMemory.Free(_page);
}
