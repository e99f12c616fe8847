using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Store.Log;

/// <summary>Sizes of an operation log. All logs of one data directory must be opened with the same page and segment size.</summary>
public sealed record OperationLogOptions
{
    /// <summary>Size of a page, as a power of two.</summary>
    public int PageSizeBits { get; init; } = Bounds.LogPageSizeBits;

    /// <summary>Memory for the newest pages, as a power of two; at least four pages.</summary>
    public int MemorySizeBits { get; init; } = Bounds.LogMemorySizeBits;

    /// <summary>Size of a segment, as a power of two; at least a page.</summary>
    public int SegmentSizeBits { get; init; } = Bounds.LogSegmentSizeBits;

    /// <summary>Bytes that may be appended and not yet durable; at most half of the memory.</summary>
    public int InFlightSizeMax { get; init; } = Bounds.LogInFlightSizeMax;

    /// <summary>Bytes that are left for records of what was begun before; more than a page, since room is looked at by pages.</summary>
    public int ReserveSize { get; init; } = Bounds.LogReserveSize;

    /// <summary>Bytes that are left for what gives disk back: a page, whatever the record before it wastes of another.</summary>
    internal int ReclaimingSize => 2 * PageSize;

    internal int PageSize => 1 << PageSizeBits;

    internal int SegmentSize => 1 << SegmentSizeBits;

    /// <summary>Largest payload: it fits on a page even behind the 64 bytes that begin the first one.</summary>
    internal int PayloadSizeMax => Math.Min(Bounds.LogPayloadSizeMax, PageSize - LogRecord.HeaderSize - 128);

    internal void Check()
    {
        if (PageSizeBits is < 12 or > 24 || SegmentSizeBits < PageSizeBits || SegmentSizeBits > 30 ||
            MemorySizeBits < PageSizeBits + 2 || MemorySizeBits > 30 || InFlightSizeMax > 1 << (MemorySizeBits - 1) || ReserveSize <= PageSize)
        {
            throw new ArgumentException($"these sizes of an operation log do not go together: {this}");
        }
    }
}
