using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Cheops.Agent.Translation;

/// <summary>What stands between the quotes of a JSON string, and what numbers look like.</summary>
internal static class JsonText
{
    private static readonly SearchValues<byte> NeedsEscape = SearchValues.Create([(byte)'"', (byte)'\\', .. Enumerable.Range(0, 0x20).Select(b => (byte)b)]);

    /// <summary>Whether a token of letters is <c>true</c>, <c>false</c> or <c>null</c>.</summary>
    public static bool IsLiteral(ReadOnlySpan<byte> token) => token.SequenceEqual("true"u8) || token.SequenceEqual("false"u8) || token.SequenceEqual("null"u8);

    /// <summary>Whether a token of digits and signs is a number by the grammar of RFC 8259.</summary>
    public static bool IsNumber(ReadOnlySpan<byte> token)
    {
        if (token.StartsWith("-"u8)) token = token[1..];
        var digits = Digits(token);
        if (digits == 0 || (digits > 1 && token[0] == '0')) return false;
        token = token[digits..];
        if (token.StartsWith("."u8))
        {
            digits = Digits(token[1..]);
            if (digits == 0) return false;
            token = token[(1 + digits)..];
        }

        if (token.IsEmpty) return true;
        if (token[0] is not ((byte)'e' or (byte)'E')) return false;
        token = token[1..];
        if (!token.IsEmpty && token[0] is (byte)'+' or (byte)'-') token = token[1..];
        return !token.IsEmpty && Digits(token) == token.Length;
    }

    /// <summary>Whether a number is a whole one in plain digits, as ids are.</summary>
    public static bool IsPlainInteger(ReadOnlySpan<byte> number) => number.Length > 0 && Digits(number) == number.Length && (number[0] != '0' || number.Length == 1);

    /// <summary>Takes the escapes out of a string's content.</summary>
    /// <param name="content">What stands between the quotes, with correct escapes.</param>
    /// <param name="buffer">Room for the result, as long as the content.</param>
    /// <param name="text">The text; the content itself when it has no escape.</param>
    /// <returns>False when it is no text: half of a surrogate pair.</returns>
    public static bool TryUnescape(ReadOnlySpan<byte> content, Span<byte> buffer, out ReadOnlySpan<byte> text)
    {
        text = content;
        var next = content.IndexOf((byte)'\\');
        if (next < 0) return true;
        var written = 0;
        while (next >= 0)
        {
            content[..next].CopyTo(buffer[written..]);
            written += next;
            content = content[next..];
            if (!TryOne(content, out var rune, out var used)) return false;
            written += rune.EncodeToUtf8(buffer[written..]);
            content = content[used..];
            next = content.IndexOf((byte)'\\');
        }

        content.CopyTo(buffer[written..]);
        text = buffer[..(written + content.Length)];
        return true;
    }

    /// <summary>Writes a string with its quotes, with no more escapes than it needs.</summary>
    public static void Write(ReadOnlySpan<byte> text, IBufferWriter<byte> output)
    {
        output.Write("\""u8);
        if (!text.ContainsAny(NeedsEscape)) output.Write(text);
        else output.Write(JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
        output.Write("\""u8);
    }

    private static int Digits(ReadOnlySpan<byte> token) => token.IndexOfAnyExceptInRange((byte)'0', (byte)'9') is >= 0 and var end ? end : token.Length;

    private static bool TryOne(ReadOnlySpan<byte> escaped, out Rune rune, out int used)
    {
        used = 2;
        rune = new Rune(escaped[1] switch
        {
            (byte)'b' => '\b',
            (byte)'f' => '\f',
            (byte)'n' => '\n',
            (byte)'r' => '\r',
            (byte)'t' => '\t',
            var b => (char)b,
        });
        if (escaped[1] != 'u') return true;
        used = 6;
        var unit = Unit(escaped);
        if (!char.IsSurrogate(unit)) return Rune.TryCreate(unit, out rune);
        used = 12;
        return escaped.Length >= 12 && escaped[6] == '\\' && escaped[7] == 'u' && Rune.TryCreate(unit, Unit(escaped[6..]), out rune);
    }

    private static char Unit(ReadOnlySpan<byte> escaped) =>
        Utf8Parser.TryParse(escaped.Slice(2, 4), out ushort unit, out var used, 'x') && used == 4 ? (char)unit : '\ud800';
}
