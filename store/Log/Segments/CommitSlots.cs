using System.Buffers.Binary;
using Cheops.Proto.Operations;
using FASTER.core;

namespace Cheops.Store.Log.Segments;

/// <summary>How far a log goes, as a slot tells.</summary>
/// <param name="Number">Grows by every commit; the higher of the two slots counts.</param>
/// <param name="Begin">Position of the first record kept.</param>
/// <param name="Until">Position after the last durable record.</param>
/// <param name="BeginSequence">Sequence of the first record kept.</param>
/// <param name="UntilSequence">Sequence of the next record.</param>
internal readonly record struct LogExtent(long Number, long Begin, long Until, ulong BeginSequence, ulong UntilSequence);

/// <summary>
/// The commits of a log. A commit is one sync of the segments. How far the log goes is told a little later, by turns in two slots: the one
/// that is not being written is always whole, and a slot never tells of what is not durable. What is durable and not told yet is
/// found at the next start (<see cref="LogTail"/>).
/// </summary>
/// <remarks>
/// What the slots tell of is missed when it is damaged. They are therefore written soon, and before segments are removed.
/// A slot: CRC-32C of the rest (4 bytes), <c>CHL1</c> (4), number (8), begin (8), until (8), begin sequence (8), until
/// sequence (8), length of FASTER's own data (4), that data; little-endian, the rest zero.
/// </remarks>
internal sealed class CommitSlots : ILogCommitManager
{
    private const uint Magic = 0x314C4843; // "CHL1"
    private const int HeaderSize = 52;

    private readonly ISegmentFiles _files;
    private readonly byte[]?[] _data = new byte[2][];
    private readonly LogExtent[] _points = new LogExtent[2];
    private int _latest = -1;

    // Guards the slots, and what is not written to them yet.
    private readonly Lock _gate = new();
    private (LogExtent Point, byte[] Data)? _unwritten;

    public CommitSlots(ISegmentFiles files)
    {
        _files = files;
        var bytes = new byte[ISegmentFiles.SlotSize];
        for (var slot = 0; slot < 2; slot++)
        {
            files.ReadSlot(slot, bytes);
            if (TryRead(bytes, out _points[slot], out _data[slot]))
            {
                if (_latest < 0 || _points[slot].Number > _points[_latest].Number) _latest = slot;
            }
            else if (bytes.AsSpan().ContainsAnyExcept((byte)0))
            {
                Damaged = true;
            }
        }
    }

    /// <summary>Whether a slot holds something that is no commit.</summary>
    public bool Damaged { get; }

    /// <summary>The last commit; null before the first.</summary>
    public LogExtent? Latest => _latest < 0 ? null : _points[_latest];

    /// <summary>What the commit that is about to be made tells; set before it is asked for.</summary>
    public LogExtent Next { get; set; }

    /// <summary>Told of a commit that failed. FASTER itself would go on as if it had been made.</summary>
    public Action<Exception>? CommitFailed { get; set; }

    /// <summary>Told of a commit as soon as it is durable; by the thread that has synced.</summary>
    public Action<LogExtent>? Committed { get; set; }

    /// <summary>Called by FASTER, on a thread of the pool, which it blocks for the time of a sync; one at a time.</summary>
    public void Commit(long beginAddress, long untilAddress, byte[] commitMetadata, long commitNum, bool forceWriteMetadata)
    {
        var point = Next;
        try
        {
            if (point.Begin != beginAddress || point.Until != untilAddress)
                throw new InvalidOperationException($"a commit of {beginAddress} to {untilAddress} was not asked for");
            _files.Sync();
            lock (_gate)
            {
                _unwritten = (point with { Number = commitNum }, commitMetadata);
                // FASTER removes what is before the beginning when this returns.
                if (point.Begin != _points[_latest].Begin) WriteRest();
            }
        }
        catch (Exception e)
        {
            CommitFailed?.Invoke(e);
            return;
        }

        Committed?.Invoke(point);
    }

    /// <summary>Writes to a slot what commits have made durable since the last one was written; durable when it returns.</summary>
    public void Keep()
    {
        lock (_gate) WriteRest();
    }

    private void WriteRest()
    {
        if (_unwritten is not { } rest) return;
        _unwritten = null;
        Write(rest.Point, rest.Data);
    }

    /// <summary>Makes a commit that FASTER is to find when it is opened: the log ends at <paramref name="point"/>. No slot tells of it before <see cref="Keep"/>.</summary>
    public void Assume(LogExtent point)
    {
        lock (_gate)
        {
            _unwritten = (point, InfoOf(point));
            (_points[_latest], _data[_latest]) = _unwritten.Value;
        }
    }

    /// <summary>Makes a commit that FASTER is to find when it is opened: the log ends at <paramref name="point"/>.</summary>
    public void Rewrite(LogExtent point)
    {
        lock (_gate)
        {
            _unwritten = null;
            // Both slots: the other one tells of more than there is.
            Write(point, InfoOf(point));
            Write(point, InfoOf(point));
        }
    }

    private static byte[] InfoOf(LogExtent point) =>
        new FasterLogRecoveryInfo { BeginAddress = point.Begin, UntilAddress = point.Until, CommitNum = point.Number }.ToByteArray();

    private void Write(LogExtent point, byte[] data)
    {
        var slot = _latest == 0 ? 1 : 0;
        Span<byte> bytes = stackalloc byte[ISegmentFiles.SlotSize];
        bytes.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Magic);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], point.Number);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], point.Begin);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[24..], point.Until);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[32..], point.BeginSequence);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[40..], point.UntilSequence);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[48..], data.Length);
        data.CopyTo(bytes[HeaderSize..]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Crc32C.Of(bytes[4..]));
        _files.WriteSlot(slot, bytes);
        _points[slot] = point;
        _data[slot] = data;
        _latest = slot;
    }

    private static bool TryRead(ReadOnlySpan<byte> bytes, out LogExtent point, out byte[]? data)
    {
        point = default;
        data = null;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) != Magic) return false;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Crc32C.Of(bytes[4..])) return false;
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[48..]);
        if (length < 0 || length > bytes.Length - HeaderSize) return false;
        point = new LogExtent(
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]));
        data = bytes.Slice(HeaderSize, length).ToArray();
        return point.Begin >= 0 && point.Begin <= point.Until && point.BeginSequence <= point.UntilSequence;
    }

    public byte[] GetCommitMetadata(long commitNum) => _data[_latest]!;

    public IEnumerable<long> ListCommits() => _latest < 0 ? [] : [_points[_latest].Number];

    public void RemoveCommit(long commitNum)
    {
        // The next commit but one takes its slot.
    }

    public void RemoveAllCommits()
    {
        // Only a log that begins anew asks for it, and that one has none.
    }

    public void OnRecovery(long commitNum)
    {
        // Nothing is left over to tidy.
    }

    public void Dispose()
    {
        // The files belong to the log.
    }
}
