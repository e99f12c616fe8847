using System.Globalization;

namespace Cheops.Agent.Workflows;

/// <summary>
/// The <c>traceparent</c> field (W3C Trace Context section 3.2), read strictly: lower-case hexadecimal digits, neither
/// id all zero, version <c>ff</c> refused, version 00 of exactly 55 characters, later versions at least that.
/// </summary>
/// <param name="TraceId">The trace.</param>
/// <param name="ParentId">The span that sent the request.</param>
/// <param name="Flags">The flags.</param>
public readonly record struct TraceParent(UInt128 TraceId, ulong ParentId, byte Flags)
{
    private const int Length = 55;

    /// <summary>Reads a field's value.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out TraceParent parent)
    {
        parent = default;
        if (text.Length < Length || text[2] != '-' || text[35] != '-' || text[52] != '-')
            return false;
        var version = text[..2];
        if (!Hex.IsLower(version) || version.SequenceEqual("ff"u8))
            return false;
        if (text.Length > Length && (version.SequenceEqual("00"u8) || text[Length] != '-'))
            return false;
        if (!TryHex<UInt128>(text[3..35], out var trace) || !TryHex<ulong>(text[36..52], out var span) || !TryHex<byte>(text[53..55], out var flags))
            return false;
        if (trace == 0 || span == 0)
            return false;
        parent = new TraceParent(trace, span, flags);
        return true;
    }

    /// <summary>The field's value, version 00.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"00-{TraceId:x32}-{ParentId:x16}-{Flags:x2}");

    private static bool TryHex<T>(ReadOnlySpan<byte> text, out T value) where T : IUtf8SpanParsable<T>, System.Numerics.INumberBase<T>
    {
        value = T.Zero;
        return Hex.IsLower(text) && T.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value!);
    }
}
