using System.Buffers;
using System.Text;

namespace Cheops.Proto.Http;

/// <summary>
/// Field lines to be added to a head, encoded as they are collected. Used again for message after message.
/// </summary>
public sealed class FieldLines
{
    private readonly ArrayBufferWriter<byte> _lines = new(256);

    /// <summary>The lines, each with its CR LF.</summary>
    public ReadOnlySpan<byte> Written => _lines.WrittenSpan;

    /// <summary>Adds a field. The value must be free of control characters: what others send is checked before.</summary>
    public FieldLines Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        _lines.Write(name);
        _lines.Write(": "u8);
        _lines.Write(value);
        _lines.Write("\r\n"u8);
        return this;
    }

    /// <summary>Adds a field whose value is text in ASCII; a control or other character is replaced by <c>?</c>.</summary>
    public FieldLines Add(ReadOnlySpan<byte> name, string value)
    {
        _lines.Write(name);
        _lines.Write(": "u8);
        var span = _lines.GetSpan(value.Length);
        for (var i = 0; i < value.Length; i++) span[i] = value[i] is >= ' ' and <= '~' ? (byte)value[i] : (byte)'?';
        _lines.Advance(value.Length);
        _lines.Write("\r\n"u8);
        return this;
    }

    /// <summary>Adds a field whose value is the list that all of a head's lines of it make (RFC 9110 5.3), and one element more.</summary>
    /// <param name="head">The head; its own lines are to be taken out.</param>
    /// <param name="field">The field.</param>
    /// <param name="name">Its name as it is to be written.</param>
    /// <param name="element">The new last element, free of control characters.</param>
    public FieldLines AddJoined(MessageHead head, KnownField field, ReadOnlySpan<byte> name, ReadOnlySpan<byte> element)
    {
        _lines.Write(name);
        _lines.Write(": "u8);
        if (head.Has(field))
        {
            foreach (ref readonly var line in head.Fields)
            {
                if (line.Known != field) continue;
                _lines.Write(head.Value(line));
                _lines.Write(", "u8);
            }
        }

        _lines.Write(element);
        _lines.Write("\r\n"u8);
        return this;
    }

    /// <summary>Adds lines that were encoded before, each with its CR LF.</summary>
    public FieldLines AddEncoded(ReadOnlySpan<byte> lines)
    {
        _lines.Write(lines);
        return this;
    }

    /// <summary>Forgets all lines.</summary>
    public void Clear() => _lines.ResetWrittenCount();

    /// <summary>Encodes one line once, to be added often.</summary>
    public static byte[] Encode(string name, string value) => Encoding.ASCII.GetBytes($"{name}: {value}\r\n");
}

/// <summary>What a head becomes on its way: which fields are taken out and which are put in.</summary>
public sealed class HeadEdits
{
    /// <summary>Fields to take out, as a mask of <see cref="KnownFields.Bit"/>, beyond those that never pass a hop.</summary>
    public ulong Removed { get; set; }

    /// <summary>Further fields to take out, by name.</summary>
    public List<byte[]> RemovedNames { get; } = [];

    /// <summary>Fields to put in.</summary>
    public FieldLines Added { get; } = new();

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Removed = 0;
        RemovedNames.Clear();
        Added.Clear();
    }
}
