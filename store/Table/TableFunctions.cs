using System.Buffers;
using FASTER.core;

namespace Cheops.Store.Table;

/// <summary>What FASTER calls to read and write the values of the table.</summary>
internal sealed class TableFunctions : FunctionsBase<SpanByte, SpanByte, Empty, TableReading, Empty>
{
    public static readonly TableFunctions Instance = new();

    public override bool SingleReader(ref SpanByte key, ref Empty input, ref SpanByte value, ref TableReading dst, ref ReadInfo readInfo)
    {
        dst.Take(key.AsReadOnlySpan(), value.AsReadOnlySpan(), readInfo.RecordInfo.PreviousAddress);
        return true;
    }

    public override bool ConcurrentReader(ref SpanByte key, ref Empty input, ref SpanByte value, ref TableReading dst, ref ReadInfo readInfo) =>
        SingleReader(ref key, ref input, ref value, ref dst, ref readInfo);

    public override bool SingleWriter(
        ref SpanByte key, ref Empty input, ref SpanByte src, ref SpanByte dst, ref TableReading output, ref UpsertInfo upsertInfo, WriteReason reason)
    {
        src.CopyTo(ref dst);
        TableRecord.Link(key.AsReadOnlySpan(), dst.AsSpan(), upsertInfo.RecordInfo.PreviousAddress);
        return true;
    }

    public override bool ConcurrentWriter(
        ref SpanByte key, ref Empty input, ref SpanByte src, ref SpanByte dst, ref TableReading output, ref UpsertInfo upsertInfo)
    {
        if (!TableRecord.MayReplace(dst.AsReadOnlySpan(), src.AsReadOnlySpan())) return false;
        return SingleWriter(ref key, ref input, ref src, ref dst, ref output, ref upsertInfo, WriteReason.Upsert);
    }
}

/// <summary>Keys as FASTER hashes and compares them.</summary>
internal sealed class TableKeyComparer(KeyHash hash) : IFasterEqualityComparer<SpanByte>
{
    public long GetHashCode64(ref SpanByte k) => (long)hash.Of(k.AsReadOnlySpan());

    public bool Equals(ref SpanByte k1, ref SpanByte k2) => k1.AsReadOnlySpan().SequenceEqual(k2.AsReadOnlySpan());
}

/// <summary>Which records compaction drops: those of keys that are gone, since all records before them go too.</summary>
internal readonly struct TableCompaction : ICompactionFunctions<SpanByte, SpanByte>
{
    public bool IsDeleted(ref SpanByte key, ref SpanByte value) => TableRecord.KindOf(value.AsReadOnlySpan()) == TableRecordKind.Removed;
}

/// <summary>What a read found.</summary>
internal sealed class TableReading
{
    private byte[] _value = [];
    private int _size;

    /// <summary>Whether a record of the key was found, one that it was removed included.</summary>
    public bool IsFound { get; private set; }

    /// <summary>Whether the record is what was written.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>Whether the key is there.</summary>
    public bool IsThere { get; private set; }

    /// <summary>The number of the key.</summary>
    public uint Number { get; private set; }

    /// <summary>The checksum of its record.</summary>
    public uint Checksum { get; private set; }

    /// <summary>Bytes of its record in the log.</summary>
    public int RecordSize { get; private set; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value => _value.AsSpan(0, _size);

    /// <summary>Forgets what was found.</summary>
    public void Clear()
    {
        IsFound = IsWhole = IsThere = false;
        if (_value.Length > 0) ArrayPool<byte>.Shared.Return(_value);
        (_value, _size) = ([], 0);
    }

    /// <summary>Takes what FASTER shows during a read.</summary>
    public void Take(ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored, long previous)
    {
        Clear();
        IsFound = true;
        if (!TableRecord.IsLinked(key, stored, previous)) return;
        IsWhole = true;
        if (TableRecord.KindOf(stored) != TableRecordKind.There) return;
        IsThere = true;
        (Number, Checksum) = (TableRecord.NumberOf(stored), TableRecord.Checksum(key, stored));
        RecordSize = TableRecord.SizeOf(key.Length, stored.Length);
        _size = stored.Length - TableRecord.PrefixSize;
        _value = ArrayPool<byte>.Shared.Rent(_size);
        stored[TableRecord.PrefixSize..].CopyTo(_value);
    }
}
