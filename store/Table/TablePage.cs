using System.Buffers.Binary;

namespace Cheops.Store.Table;

/// <summary>The records on one page of the table's log, one after the other.</summary>
/// <param name="bytes">The page, from its beginning to its end.</param>
/// <param name="position">Where the page begins in the log.</param>
/// <param name="options">How long keys and values may be.</param>
internal ref struct TablePage(ReadOnlySpan<byte> bytes, long position, ReplicantTableOptions options)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private int _next;
    private int _end;
    private TableRecord _record;

    /// <summary>The record that <see cref="MoveNext"/> found.</summary>
    public readonly TableRecord Record => _record;

    /// <summary>Whether what comes next is no record.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>Sets which part of the log is looked at.</summary>
    public TablePage Between(long begin, long until)
    {
        _next = (int)Math.Max(0, begin - position);
        _end = (int)Math.Min(_bytes.Length, until - position);
        return this;
    }

    /// <summary>Goes to the next record; false when there is none, or at a damage.</summary>
    public bool MoveNext()
    {
        // Where a record did not fit any more, or was given up at once, there are zeros.
        while (_next < _end && BinaryPrimitives.ReadInt64LittleEndian(_bytes[_next..]) == 0) _next += sizeof(long);
        if (_next >= _end) return false;
        if (!TableRecord.TryRead(_bytes[_next.._end], position + _next, options, out _record))
        {
            IsDamaged = true;
            return false;
        }

        _next += _record.Size;
        return true;
    }
}
