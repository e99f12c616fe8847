using System.Text;

namespace Cheops.Proto.Http;

/// <summary>The fields that Cheops itself looks at, resolved once when a head is parsed. At most 64: sets of them are masks.</summary>
public enum KnownField : byte
{
    /// <summary>Any other field.</summary>
    Other,
    /// <summary><c>Host</c></summary>
    Host,
    /// <summary><c>Content-Length</c></summary>
    ContentLength,
    /// <summary><c>Transfer-Encoding</c></summary>
    TransferEncoding,
    /// <summary><c>Connection</c></summary>
    Connection,
    /// <summary><c>Keep-Alive</c></summary>
    KeepAlive,
    /// <summary><c>Proxy-Connection</c></summary>
    ProxyConnection,
    /// <summary><c>Proxy-Authorization</c>: for the proxy that asked for it, never for a service.</summary>
    ProxyAuthorization,
    /// <summary><c>TE</c></summary>
    TE,
    /// <summary><c>Trailer</c></summary>
    Trailer,
    /// <summary><c>Upgrade</c></summary>
    Upgrade,
    /// <summary><c>HTTP2-Settings</c></summary>
    Http2Settings,
    /// <summary><c>Expect</c></summary>
    Expect,
    /// <summary><c>Scope</c> (DESIGN.md section 3)</summary>
    Scope,
    /// <summary><c>Via</c></summary>
    Via,
    /// <summary><c>Forwarded</c> (RFC 7239)</summary>
    Forwarded,
    /// <summary><c>X-Forwarded-For</c></summary>
    XForwardedFor,
    /// <summary><c>X-Forwarded-Proto</c></summary>
    XForwardedProto,
    /// <summary><c>X-Forwarded-Host</c></summary>
    XForwardedHost,
    /// <summary><c>X-Forwarded-Prefix</c></summary>
    XForwardedPrefix,
    /// <summary><c>traceparent</c> (W3C Trace Context)</summary>
    TraceParent,
    /// <summary><c>tracestate</c></summary>
    TraceState,
    /// <summary><c>baggage</c> (W3C Baggage)</summary>
    Baggage,
    /// <summary><c>X-Request-ID</c></summary>
    XRequestId,
    /// <summary><c>X-OpenStack-Request-ID</c></summary>
    XOpenStackRequestId,
    /// <summary><c>Authorization</c></summary>
    Authorization,
    /// <summary><c>Cookie</c></summary>
    Cookie,
    /// <summary><c>Location</c></summary>
    Location,
    /// <summary><c>Content-Type</c></summary>
    ContentType,
    /// <summary><c>Date</c></summary>
    Date,
    /// <summary>Any field whose name begins with <c>Cheops-</c>.</summary>
    Cheops,
    /// <summary>Any field whose name begins with <c>X-Remote-</c>: a user as a front proxy asserts it (Kubernetes).</summary>
    XRemote,
    /// <summary><c>X-Auth-Token</c> (OpenStack)</summary>
    XAuthToken,
    /// <summary><c>Max-Forwards</c></summary>
    MaxForwards,
}

/// <summary>Resolves names to <see cref="KnownField"/>, ignoring case.</summary>
public static class KnownFields
{
    /// <summary>The bit of <paramref name="field"/> in a mask.</summary>
    public static ulong Bit(this KnownField field) => 1UL << (int)field;

    /// <summary>The field that <paramref name="name"/> is.</summary>
    public static KnownField Resolve(ReadOnlySpan<byte> name)
    {
        var exact = name.Length switch
        {
            2 => Is(name, "te"u8, KnownField.TE),
            3 => Is(name, "via"u8, KnownField.Via),
            4 => Is(name, "host"u8, KnownField.Host, "date"u8, KnownField.Date),
            5 => Is(name, "scope"u8, KnownField.Scope),
            6 => Is(name, "expect"u8, KnownField.Expect, "cookie"u8, KnownField.Cookie),
            7 => Is(name, "upgrade"u8, KnownField.Upgrade, "trailer"u8, KnownField.Trailer, "baggage"u8, KnownField.Baggage),
            8 => Is(name, "location"u8, KnownField.Location),
            9 => Is(name, "forwarded"u8, KnownField.Forwarded),
            10 => Is(
                name, "connection"u8, KnownField.Connection, "keep-alive"u8, KnownField.KeepAlive, "tracestate"u8, KnownField.TraceState),
            11 => Is(name, "traceparent"u8, KnownField.TraceParent),
            12 when (name[0] | 0x20) == 'm' => Is(name, "max-forwards"u8, KnownField.MaxForwards),
            12 => Is(
                name, "content-type"u8, KnownField.ContentType, "x-request-id"u8, KnownField.XRequestId, "x-auth-token"u8, KnownField.XAuthToken),
            13 => Is(name, "authorization"u8, KnownField.Authorization),
            14 => Is(name, "content-length"u8, KnownField.ContentLength, "http2-settings"u8, KnownField.Http2Settings),
            15 => Is(name, "x-forwarded-for"u8, KnownField.XForwardedFor),
            16 => Is(name, "proxy-connection"u8, KnownField.ProxyConnection, "x-forwarded-host"u8, KnownField.XForwardedHost),
            17 => Is(name, "transfer-encoding"u8, KnownField.TransferEncoding, "x-forwarded-proto"u8, KnownField.XForwardedProto),
            18 => Is(name, "x-forwarded-prefix"u8, KnownField.XForwardedPrefix),
            19 => Is(name, "proxy-authorization"u8, KnownField.ProxyAuthorization),
            22 => Is(name, "x-openstack-request-id"u8, KnownField.XOpenStackRequestId),
            _ => KnownField.Other,
        };
        return exact != KnownField.Other ? exact : Prefixed(name);
    }

    // Fields that, read under another name, would change how long a message is or who it is for.
    private static readonly ulong NeverUnderscored =
        KnownField.ContentLength.Bit() | KnownField.TransferEncoding.Bit() | KnownField.XForwardedFor.Bit() | KnownField.XForwardedProto.Bit()
        | KnownField.XForwardedHost.Bit() | KnownField.XForwardedPrefix.Bit() | KnownField.ProxyAuthorization.Bit() | KnownField.XAuthToken.Bit()
        | KnownField.XRemote.Bit() | KnownField.Cheops.Bit();

    /// <summary>
    /// Whether a name becomes that of a field that matters when <c>_</c> is read as <c>-</c>, as CGI, WSGI and their kin
    /// do: <c>Content_Length</c>, <c>X_Remote_User</c>.
    /// </summary>
    internal static bool IsLookalike(ReadOnlySpan<byte> name)
    {
        // Longer names than any known one can still begin as one.
        Span<byte> dashed = stackalloc byte[64];
        if (name.Length > dashed.Length) name = name[..dashed.Length];
        name.Replace(dashed, (byte)'_', (byte)'-');
        return (Resolve(dashed[..name.Length]).Bit() & NeverUnderscored) != 0;
    }

    private static KnownField Prefixed(ReadOnlySpan<byte> name)
    {
        // The second byte tells nearly all others apart before any comparison.
        if (name.Length < 7) return KnownField.Other;
        if ((name[0] | 0x20) == 'c')
            return Ascii.EqualsIgnoreCase(name[..7], "cheops-"u8) ? KnownField.Cheops : KnownField.Other;
        return name[1] == '-' && name.Length >= 9 && Ascii.EqualsIgnoreCase(name[..9], "x-remote-"u8)
            ? KnownField.XRemote
            : KnownField.Other;
    }

    private static KnownField Is(ReadOnlySpan<byte> name, ReadOnlySpan<byte> word, KnownField field) =>
        Ascii.EqualsIgnoreCase(name, word) ? field : KnownField.Other;

    private static KnownField Is(
        ReadOnlySpan<byte> name, ReadOnlySpan<byte> word1, KnownField field1, ReadOnlySpan<byte> word2, KnownField field2) =>
        Ascii.EqualsIgnoreCase(name, word1) ? field1 : Is(name, word2, field2);

    private static KnownField Is(
        ReadOnlySpan<byte> name,
        ReadOnlySpan<byte> word1,
        KnownField field1,
        ReadOnlySpan<byte> word2,
        KnownField field2,
        ReadOnlySpan<byte> word3,
        KnownField field3) =>
        Ascii.EqualsIgnoreCase(name, word1) ? field1 : Is(name, word2, field2, word3, field3);
}
