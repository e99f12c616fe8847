namespace Cheops.Store.Log.Segments;

/// <summary>
/// The files under an operation log or a table: numbered segments of one size, and two slots that tell by turns how far
/// it goes. All calls may block; errors of the system come out as <see cref="IOException"/>.
/// </summary>
public interface ISegmentFiles : IDisposable
{
    /// <summary>Bytes of a slot, written as one sector.</summary>
    const int SlotSize = 512;

    /// <summary>Bytes that the disk has room for, as far as it tells at this moment.</summary>
    long Room { get; }

    /// <summary>Numbers of the segments that exist, ascending.</summary>
    IReadOnlyList<int> List();

    /// <summary>
    /// Makes a segment, with all its blocks, so that no later write to it finds the disk full; durable when it returns. A
    /// segment that exists is left as it is.
    /// </summary>
    /// <exception cref="SegmentsFullException">There is no room; the segment does not exist.</exception>
    void Reserve(int segment);

    /// <summary>Writes into a segment; durable after <see cref="Sync"/>.</summary>
    void Write(int segment, long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Reads from a segment; what is not there reads as zeros.</summary>
    void Read(int segment, long offset, Span<byte> bytes);

    /// <summary>Makes all writes so far durable. After a failure nothing is known of any of them.</summary>
    void Sync();

    /// <summary>Removes a segment, if it exists.</summary>
    void Remove(int segment);

    /// <summary>Writes a slot of <see cref="SlotSize"/> bytes; durable when it returns.</summary>
    /// <param name="slot">0 or 1.</param>
    /// <param name="bytes">The whole slot.</param>
    void WriteSlot(int slot, ReadOnlySpan<byte> bytes);

    /// <summary>Reads a slot; one never written reads as zeros.</summary>
    void ReadSlot(int slot, Span<byte> bytes);
}

/// <summary>There is no room for another segment.</summary>
/// <param name="detail">For a person.</param>
/// <param name="cause">The system's error.</param>
public sealed class SegmentsFullException(string detail, Exception? cause = null) : IOException(detail, cause);

/// <summary>Another process has the files open.</summary>
/// <param name="detail">For a person.</param>
/// <param name="cause">The system's error.</param>
public sealed class SegmentsInUseException(string detail, Exception cause) : IOException(detail, cause);
