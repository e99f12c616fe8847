using Cheops.Proto;

namespace Cheops.Store.Table;

/// <summary>Sizes of a replicant table. A table must always be opened with the same page and segment size.</summary>
public sealed record ReplicantTableOptions
{
    /// <summary>Size of a page, as a power of two.</summary>
    public int PageSizeBits { get; init; } = Bounds.TablePageSizeBits;

    /// <summary>Memory for the newest pages, as a power of two; at least four pages.</summary>
    public int MemorySizeBits { get; init; } = Bounds.TableMemorySizeBits;

    /// <summary>Size of a segment, as a power of two; at least a page.</summary>
    public int SegmentSizeBits { get; init; } = Bounds.TableSegmentSizeBits;

    /// <summary>The bits of keys' hashes that count: tests leave few, so that keys collide.</summary>
    internal ulong HashMask { get; init; } = ulong.MaxValue;

    internal int PageSize => 1 << PageSizeBits;

    internal long SegmentSize => 1L << SegmentSizeBits;

    /// <summary>Largest key: with the largest value it fits on a page, even behind what begins the first one.</summary>
    internal int KeySizeMax => Math.Min(Bounds.TableKeySizeMax, PageSize / 16);

    /// <summary>Largest value.</summary>
    internal int ValueSizeMax => Math.Min(Bounds.TableValueSizeMax, PageSize / 4 * 3);

    internal void Check()
    {
        if (PageSizeBits is < 12 or > 24 || SegmentSizeBits < PageSizeBits || SegmentSizeBits > 30 ||
            MemorySizeBits < PageSizeBits + 2 || MemorySizeBits > 30)
        {
            throw new ArgumentException($"these sizes of a table do not go together: {this}");
        }
    }
}
