using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Workflows;

/// <summary>A workflow's id: 128 bits by chance, never zero; usable as a W3C trace id.</summary>
/// <param name="Value">The bits.</param>
public readonly record struct WorkflowId(UInt128 Value)
{
    private const int HexLength = 32;
    private const int UuidLength = 36;

    /// <summary>The id's lower half as a span id; never zero.</summary>
    public ulong SpanId => (ulong)Value is 0 and var zero ? zero + 1 : (ulong)Value;

    /// <summary>Makes an id of 16 random bytes.</summary>
    public static WorkflowId FromBytes(ReadOnlySpan<byte> bytes)
    {
        var value = BinaryPrimitives.ReadUInt128BigEndian(bytes);
        return new WorkflowId(value == 0 ? 1 : value);
    }

    /// <summary>Reads 32 lower-case hexadecimal digits that are not all zero.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out WorkflowId id)
    {
        id = default;
        if (text.Length != HexLength || !Hex.IsLower(text) || !UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) || value == 0)
            return false;
        id = new WorkflowId(value);
        return true;
    }

    /// <summary>Reads 32 lower-case hexadecimal digits that are not all zero.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out WorkflowId id)
    {
        Span<byte> bytes = stackalloc byte[HexLength];
        id = default;
        return text.Length == HexLength && Encoding.UTF8.TryGetBytes(text, bytes, out _) && TryParse(bytes, out id);
    }

    /// <summary>Reads a UUID in lower case.</summary>
    public static bool TryParseUuid(ReadOnlySpan<byte> text, out WorkflowId id)
    {
        id = default;
        if (text.Length != UuidLength || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
            return false;
        Span<byte> hex = stackalloc byte[HexLength];
        text[..8].CopyTo(hex);
        text[9..13].CopyTo(hex[8..]);
        text[14..18].CopyTo(hex[12..]);
        text[19..23].CopyTo(hex[16..]);
        text[24..].CopyTo(hex[20..]);
        return TryParse(hex, out id);
    }

    /// <summary>Reads an id in a profile's format.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, IdFormat format, out WorkflowId id)
    {
        id = default;
        var length = format.IsUuid ? UuidLength : HexLength;
        if (text.Length != format.Prefix.Length + length + format.Suffix.Length
            || !Ascii.Equals(text[..format.Prefix.Length], format.Prefix) || !Ascii.Equals(text[^format.Suffix.Length..], format.Suffix))
            return false;
        var inner = text.Slice(format.Prefix.Length, length);
        return format.IsUuid ? TryParseUuid(inner, out id) : TryParse(inner, out id);
    }

    /// <summary>32 lower-case hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}

/// <summary>Lower-case hexadecimal digits, which W3C's formats demand.</summary>
internal static class Hex
{
    private static readonly SearchValues<byte> LowerDigits = SearchValues.Create("0123456789abcdef"u8);

    public static bool IsLower(ReadOnlySpan<byte> text) => !text.ContainsAnyExcept(LowerDigits);
}
