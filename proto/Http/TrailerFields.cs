using System.Text;

namespace Cheops.Proto.Http;

/// <summary>Which fields may stand in a trailer section (RFC 9110 6.5.1).</summary>
internal static class TrailerFields
{
    // Beside the fields that Cheops itself looks at: what says how content is to be read, who the user is, or how the
    // message is to be handled comes too late behind the body, and is believed by those who merge trailers into heads.
    private static readonly byte[][] Forbidden =
    [
        [.. "Content-Encoding"u8], [.. "Content-Range"u8], [.. "Set-Cookie"u8], [.. "Range"u8], [.. "Max-Forwards"u8],
        [.. "WWW-Authenticate"u8], [.. "Proxy-Authenticate"u8],
    ];

    /// <summary>Whether a field may only stand in a head.</summary>
    public static bool IsForbidden(KnownField known, ReadOnlySpan<byte> name)
    {
        if (known is not (KnownField.Other or KnownField.Date)) return true;
        foreach (var forbidden in Forbidden)
        {
            if (Ascii.EqualsIgnoreCase(name, forbidden)) return true;
        }

        return false;
    }
}
