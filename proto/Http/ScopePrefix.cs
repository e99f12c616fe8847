using System.Text;

namespace Cheops.Proto.Http;

/// <summary>What <see cref="ScopePrefix.Split"/> found.</summary>
public enum ScopePrefixResult : byte
{
    /// <summary>The target has no scope prefix.</summary>
    Absent,
    /// <summary>There is one, and the rest is the target to pass on.</summary>
    Found,
    /// <summary>There is one, and it is empty, too long, or not correctly percent-encoded.</summary>
    Invalid,
}

/// <summary>The path prefix <c>/@&lt;scope&gt;/…</c>, by which any client with a base URL gives a scope (DESIGN.md section 3).</summary>
public static class ScopePrefix
{
    /// <summary>Takes the prefix from an origin-form target.</summary>
    /// <param name="target">The target as sent.</param>
    /// <param name="scope">The scope, percent-decoded.</param>
    /// <param name="restStart">
    /// Where the rest begins; when that is no <c>/</c> (the prefix was all of the path), a <c>/</c> is to be put before it.
    /// </param>
    public static ScopePrefixResult Split(ReadOnlySpan<byte> target, out string scope, out int restStart)
    {
        scope = "";
        restStart = 0;
        if (target.Length < 2 || target[0] != '/') return ScopePrefixResult.Absent;
        var start = target[1] == '@' ? 2 : target.Length >= 4 && target[1] == '%' && target[2] == '4' && target[3] == '0' ? 4 : 0;
        if (start == 0) return ScopePrefixResult.Absent;

        var end = target[start..].IndexOfAny((byte)'/', (byte)'?');
        end = end < 0 ? target.Length : start + end;
        restStart = end;
        var encoded = target[start..end];
        if (encoded.IsEmpty || encoded.Length > Bounds.ScopeLengthMax * 3) return ScopePrefixResult.Invalid;
        Span<byte> decoded = encoded.Length <= 512 ? stackalloc byte[512] : new byte[encoded.Length];
        var length = Decode(encoded, decoded);
        if (length is < 0 or > Bounds.ScopeLengthMax) return ScopePrefixResult.Invalid;
        scope = Encoding.ASCII.GetString(decoded[..length]);
        return ScopePrefixResult.Found;
    }

    private static int Decode(ReadOnlySpan<byte> encoded, Span<byte> decoded)
    {
        var length = 0;
        for (var i = 0; i < encoded.Length; i++)
        {
            var b = encoded[i];
            if (b == '%')
            {
                if (i + 2 >= encoded.Length || !char.IsAsciiHexDigit((char)encoded[i + 1]) || !char.IsAsciiHexDigit((char)encoded[i + 2]))
                    return -1;
                b = (byte)(Hex(encoded[i + 1]) << 4 | Hex(encoded[i + 2]));
                i += 2;
            }

            // Scope-lang is ASCII; anything else would be a name that no site has.
            if (b is < 0x20 or > 0x7E) return -1;
            decoded[length++] = b;
        }

        return length;
    }

    private static int Hex(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
