using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Store.Log.Segments;

namespace Cheops.Store.Table;

/// <summary>
/// Segments that remember the checksum of every block that was written or read, in memory: what changes on the disk while
/// it is in use never reaches a reader. All reads and writes are of whole blocks.
/// </summary>
/// <param name="files">The files under it; closed with this.</param>
/// <param name="segmentSize">Bytes of a segment.</param>
internal sealed class CheckedSegmentFiles(ISegmentFiles files, long segmentSize) : IDisposable
{
    /// <summary>Bytes of a block.</summary>
    public const int BlockSize = 4096;

    private const int CopySize = 16 * BlockSize;

    // A block's checksum; 0 while it is not known.
    private readonly ConcurrentDictionary<int, uint[]> _known = new();
    private readonly byte[] _copy = GC.AllocateUninitializedArray<byte>(CopySize);
    private int _count = files.List().Count;

    /// <summary>Bytes of a segment.</summary>
    public long SegmentSize => segmentSize;

    /// <summary>Bytes on disk.</summary>
    public long DiskBytes => Volatile.Read(ref _count) * segmentSize;

    /// <summary>Makes a segment with all its blocks.</summary>
    /// <exception cref="SegmentsFullException">There is no room.</exception>
    public void Reserve(int segment)
    {
        files.Reserve(segment);
        Volatile.Write(ref _count, files.List().Count);
    }

    /// <summary>Writes blocks, from a copy: what is written must have the checksum that is remembered.</summary>
    public void Write(int segment, long offset, ReadOnlySpan<byte> bytes)
    {
        var known = Known(segment);
        lock (_copy)
        {
            for (; !bytes.IsEmpty; offset += CopySize)
            {
                var copy = _copy.AsSpan(0, Math.Min(CopySize, bytes.Length));
                bytes[..copy.Length].CopyTo(copy);
                bytes = bytes[copy.Length..];
                for (var at = 0; at < copy.Length; at += BlockSize)
                    Volatile.Write(ref known[(offset + at) / BlockSize], ChecksumOf(copy.Slice(at, BlockSize)));
                files.Write(segment, offset, copy);
            }
        }
    }

    /// <summary>Reads blocks; what is behind the segment's end reads as zeros.</summary>
    /// <exception cref="SegmentDamagedException">One of them is not what was written.</exception>
    public void Read(int segment, long offset, Span<byte> bytes)
    {
        // FASTER reads as many bytes as the last record had, when it goes on to the one before in a chain.
        if (offset + bytes.Length > segmentSize)
        {
            bytes[(int)(segmentSize - offset)..].Clear();
            bytes = bytes[..(int)(segmentSize - offset)];
        }

        var known = Known(segment);
        files.Read(segment, offset, bytes);
        if (IsKnown(known, offset, bytes)) return;
        lock (_copy)
        {
            // The block may have been on its way to the disk.
            files.Read(segment, offset, bytes);
            if (!IsKnown(known, offset, bytes))
                throw new SegmentDamagedException($"segment {segment} has changed on the disk between {offset} and {offset + bytes.Length}");
        }
    }

    /// <summary>Zeros what is behind a position, up to the end of its page, and forgets what it knew of it.</summary>
    public void Zero(int segment, long offset, long until)
    {
        if (!files.List().Contains(segment)) return;
        files.Write(segment, offset, new byte[until - offset]);
        files.Sync();
        Array.Clear(Known(segment), (int)(offset / BlockSize), (int)((until - offset + BlockSize - 1) / BlockSize));
    }

    /// <summary>Makes all writes so far durable.</summary>
    public void Sync() => files.Sync();

    /// <summary>Removes the segments outside these.</summary>
    public void RemoveOutside(long first, long last)
    {
        foreach (var segment in files.List())
        {
            if (segment >= first && segment <= last) continue;
            files.Remove(segment);
            _known.TryRemove(segment, out _);
        }

        Volatile.Write(ref _count, files.List().Count);
    }

    private uint[] Known(int segment) => _known.GetOrAdd(segment, static (_, count) => new uint[count], (int)(segmentSize / BlockSize));

    private static bool IsKnown(uint[] known, long offset, ReadOnlySpan<byte> bytes)
    {
        for (var at = 0; at < bytes.Length; at += BlockSize)
        {
            ref var expected = ref known[(offset + at) / BlockSize];
            var found = ChecksumOf(bytes.Slice(at, BlockSize));
            var before = Interlocked.CompareExchange(ref expected, found, 0);
            if (before != 0 && before != found) return false;
        }

        return true;
    }

    private static uint ChecksumOf(ReadOnlySpan<byte> block) => Math.Max(1, Crc32C.Of(block));

    public void Dispose() => files.Dispose();
}

/// <summary>What is on disk has changed since it was written.</summary>
/// <param name="detail">For a person.</param>
internal sealed class SegmentDamagedException(string detail) : IOException(detail);
