using Cheops.Proto;
using Cheops.Store.Log.Segments;

namespace Cheops.Tests.Unit.Store.Log;

/// <summary>Real files on a disk that becomes full and fails to order.</summary>
internal sealed class LimitedFiles(DiskSegmentFiles files) : ISegmentFiles
{
    /// <summary>Most segments that there is room for.</summary>
    public int SegmentsMax { get; set; } = int.MaxValue;

    /// <summary>Makes every write fail, while set.</summary>
    public bool FailWrites { get; set; }

    public long Room => SegmentsMax == int.MaxValue ? files.Room : Math.Max(0L, SegmentsMax - List().Count) << Bounds.LogSegmentSizeBits;

    public IReadOnlyList<int> List() => files.List();

    public void Reserve(int segment)
    {
        if (!List().Contains(segment) && List().Count >= SegmentsMax) throw new SegmentsFullException("the test's disk is full");
        files.Reserve(segment);
    }

    public void Write(int segment, long offset, ReadOnlySpan<byte> bytes)
    {
        if (FailWrites) throw new IOException("the test's disk fails");
        files.Write(segment, offset, bytes);
    }

    public void Read(int segment, long offset, Span<byte> bytes) => files.Read(segment, offset, bytes);

    public void Sync() => files.Sync();

    public void Remove(int segment) => files.Remove(segment);

    public void WriteSlot(int slot, ReadOnlySpan<byte> bytes) => files.WriteSlot(slot, bytes);

    public void ReadSlot(int slot, Span<byte> bytes) => files.ReadSlot(slot, bytes);

    public void Dispose() => files.Dispose();
}
