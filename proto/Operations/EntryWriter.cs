using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace Cheops.Proto.Operations;

/// <summary>Writes the fields of entries and table records: little-endian numbers, and text and bytes after their length.</summary>
public sealed class EntryWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new(512);

    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    /// <summary>Writes one byte.</summary>
    public EntryWriter Byte(byte value)
    {
        _buffer.GetSpan(1)[0] = value;
        _buffer.Advance(1);
        return this;
    }

    /// <summary>Writes a number of 8 bytes.</summary>
    public EntryWriter Number(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.GetSpan(8), value);
        _buffer.Advance(8);
        return this;
    }

    /// <summary>Writes a number of 4 bytes.</summary>
    public EntryWriter Small(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.GetSpan(4), value);
        _buffer.Advance(4);
        return this;
    }

    /// <summary>Writes an operation's id.</summary>
    public EntryWriter Id(OperationId id)
    {
        id.Write(_buffer.GetSpan(OperationId.Size));
        _buffer.Advance(OperationId.Size);
        return this;
    }

    /// <summary>Writes bytes, after their length.</summary>
    public EntryWriter Bytes(ReadOnlySpan<byte> value)
    {
        Small(value.Length);
        _buffer.Write(value);
        return this;
    }

    /// <summary>Writes what another writer has written, as it is.</summary>
    public EntryWriter Append(ReadOnlySpan<byte> written)
    {
        _buffer.Write(written);
        return this;
    }

    /// <summary>Writes text in UTF-8, after its length in bytes.</summary>
    public EntryWriter Text(string value)
    {
        Small(Encoding.UTF8.GetByteCount(value));
        Encoding.UTF8.GetBytes(value, _buffer);
        return this;
    }

    /// <summary>Writes texts, after their number.</summary>
    public EntryWriter Texts(IReadOnlyCollection<string> values)
    {
        Small(values.Count);
        foreach (var value in values) Text(value);
        return this;
    }
}

/// <summary>
/// Reads what <see cref="EntryWriter"/> wrote. The first thing that does not fit fails the whole: from then on every read
/// gives nothing, and <see cref="Failed"/> is set, so that a reader looks once, at the end.
/// </summary>
public ref struct EntryReader(ReadOnlyMemory<byte> bytes)
{
    private ReadOnlyMemory<byte> _rest = bytes;

    /// <summary>Whether something did not fit.</summary>
    public bool Failed { get; private set; }

    /// <summary>Whether everything was read and nothing is left.</summary>
    public readonly bool IsWhole => !Failed && _rest.IsEmpty;

    /// <summary>Reads one byte.</summary>
    public byte Byte() => Take(1) is { Length: 1 } span ? span[0] : (byte)0;

    /// <summary>Reads a number of 8 bytes.</summary>
    public long Number() => Take(8) is { Length: 8 } span ? BinaryPrimitives.ReadInt64LittleEndian(span) : 0;

    /// <summary>Reads a number of 4 bytes.</summary>
    public int Small() => Take(4) is { Length: 4 } span ? BinaryPrimitives.ReadInt32LittleEndian(span) : 0;

    /// <summary>Reads an operation's id.</summary>
    public OperationId Id() => Take(OperationId.Size) is { Length: OperationId.Size } span ? OperationId.Read(span) : default;

    /// <summary>Reads bytes; a part of what is read from.</summary>
    /// <param name="sizeMax">Most bytes.</param>
    public ReadOnlyMemory<byte> Bytes(int sizeMax)
    {
        var length = Small();
        if (Failed || length < 0 || length > sizeMax || length > _rest.Length)
        {
            Failed = true;
            return default;
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    /// <summary>Reads text. Bytes that are not UTF-8 do not fit: replaced, they would be text that was never written, and longer.</summary>
    /// <param name="sizeMax">Most bytes in UTF-8.</param>
    public string Text(int sizeMax)
    {
        var bytes = Bytes(sizeMax).Span;
        if (Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        Failed = true;
        return "";
    }

    /// <summary>Reads texts.</summary>
    /// <param name="countMax">Most texts.</param>
    /// <param name="sizeMax">Most bytes of each.</param>
    public string[] Texts(int countMax, int sizeMax)
    {
        var count = Count(countMax);
        var texts = new string[count];
        for (var i = 0; i < count; i++) texts[i] = Text(sizeMax);
        return texts;
    }

    /// <summary>Reads how many follow.</summary>
    public int Count(int countMax)
    {
        var count = Small();
        if (!Failed && count >= 0 && count <= countMax) return count;
        Failed = true;
        return 0;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Failed || _rest.Length < count)
        {
            Failed = true;
            return default;
        }

        var taken = _rest.Span[..count];
        _rest = _rest[count..];
        return taken;
    }
}
