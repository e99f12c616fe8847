using System.Buffers;
using System.Text;

namespace Cheops.Agent.Translation;

/// <summary>Percent-encoding (RFC 3986 section 2.1) of ids in targets and URLs.</summary>
internal static class PercentEncoding
{
    /// <summary>Reads one encoding at the start of a text.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, out byte value)
    {
        value = 0;
        if (text.Length < 3 || text[0] != '%' || !char.IsAsciiHexDigit((char)text[1]) || !char.IsAsciiHexDigit((char)text[2])) return false;
        value = (byte)((Digit(text[1]) << 4) | Digit(text[2]));
        return true;
    }

    /// <summary>Writes one byte encoded; returns how many bytes that takes.</summary>
    public static int Encode(byte b, Span<byte> buffer)
    {
        const string digits = "0123456789ABCDEF";
        buffer[0] = (byte)'%';
        buffer[1] = (byte)digits[b >> 4];
        buffer[2] = (byte)digits[b & 15];
        return 3;
    }

    /// <summary>Decodes a text. One without encodings is given back as it is.</summary>
    /// <param name="text">The text.</param>
    /// <param name="buffer">Room for the result, as long as the text.</param>
    /// <param name="plusIsSpace">Whether <c>+</c> is a space, as in the values of a query.</param>
    public static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> text, Span<byte> buffer, bool plusIsSpace = false)
    {
        if (!text.Contains((byte)'%') && !(plusIsSpace && text.Contains((byte)'+'))) return text;
        var written = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var b = text[i];
            if (b == '%' && TryDecode(text[i..], out var decoded))
            {
                b = decoded;
                i += 2;
            }
            else if (b == '+' && plusIsSpace)
            {
                b = (byte)' ';
            }

            buffer[written++] = b;
        }

        return buffer[..written];
    }

    /// <summary>Writes an id as a path segment, or as a value of a query.</summary>
    public static void Write(string id, IBufferWriter<byte> output, bool inQuery)
    {
        Span<byte> one = stackalloc byte[3];
        foreach (var b in Encoding.UTF8.GetBytes(id))
        {
            var bare = PathNormalizer.IsBare(b) && !(inQuery && b is (byte)'&' or (byte)'+' or (byte)'=');
            if (bare) one[0] = b;
            output.Write(one[..(bare ? 1 : Encode(b, one))]);
        }
    }

    private static int Digit(byte b) => b <= '9' ? b - '0' : (b | 0x20) - 'a' + 10;
}
