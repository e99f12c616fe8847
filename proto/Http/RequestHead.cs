using System.Buffers;
using System.Text;

namespace Cheops.Proto.Http;

/// <summary>The methods of RFC 9110 9 and RFC 5789; everything else is <see cref="Other"/>.</summary>
public enum HttpMethod : byte
{
    /// <summary>Any other method, passed on as it is.</summary>
    Other,
    /// <summary>GET</summary>
    Get,
    /// <summary>HEAD</summary>
    Head,
    /// <summary>POST</summary>
    Post,
    /// <summary>PUT</summary>
    Put,
    /// <summary>DELETE</summary>
    Delete,
    /// <summary>PATCH</summary>
    Patch,
    /// <summary>OPTIONS</summary>
    Options,
    /// <summary>TRACE</summary>
    Trace,
}

/// <summary>The head of a request.</summary>
public sealed class RequestHead : MessageHead
{
    private const int MethodLengthMax = 32;

    // Visible ASCII without '#': a fragment is never sent (RFC 9112 3.2). Braces, quotes and the like are sent by real
    // clients and harmless, since the target is passed on byte for byte.
    private static readonly SearchValues<byte> TargetBytes = SearchValues.Create(
        [.. Enumerable.Range(0x21, 0x5E).Select(b => (byte)b).Where(b => b != '#')]);

    // A registered name (RFC 3986 3.2.2) without its comma, which no name in use has: a list of hosts is not a host.
    private static readonly SearchValues<byte> HostBytes = SearchValues.Create(
        "-._~%!$&'()*+;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> AddressBytes = SearchValues.Create(":.0123456789ABCDEFabcdef"u8);

    private int _methodLength;
    private int _targetStart;
    private int _targetLength;
    private int _authorityStart;
    private int _authorityLength;
    private byte[] _rootedTarget = [];

    /// <summary>The method.</summary>
    public HttpMethod Method { get; private set; }

    /// <summary>The method as sent.</summary>
    public ReadOnlySpan<byte> MethodBytes => Bytes[.._methodLength];

    /// <summary>
    /// The target in origin form (or <c>*</c>), byte for byte as sent; of an absolute target, what follows its
    /// authority, and if nothing does <c>/</c>, or <c>*</c> with OPTIONS (RFC 9112 3.2.4). An absolute target's empty path
    /// before a query becomes <c>/</c> (RFC 9112 3.2.1).
    /// </summary>
    public ReadOnlySpan<byte> Target =>
        _rootedTarget.Length > 0 ? _rootedTarget
        : _targetLength > 0 ? Bytes.Slice(_targetStart, _targetLength)
        : Method == HttpMethod.Options ? "*"u8 : "/"u8;

    /// <summary>The host and port that the request is for: the absolute target's authority, else Host; may be empty.</summary>
    public ReadOnlySpan<byte> Authority => Bytes.Slice(_authorityStart, _authorityLength);

    /// <summary>Whether the client waits for 100 (Continue) before it sends the body.</summary>
    public bool ExpectsContinue { get; private set; }

    /// <summary>Whether the client asks to switch to another protocol (never h2c) after this request.</summary>
    public bool IsUpgrade { get; private set; }

    /// <summary>Whether the client says that it takes trailers (<c>TE: trailers</c>).</summary>
    public bool TakesTrailers { get; private set; }

    /// <summary>How many agents and proxies an OPTIONS or TRACE request may still pass (RFC 9110 7.6.2); null for any number.</summary>
    public int? MaxForwards { get; private set; }

    /// <summary>Whether repeating the request has no further effect (RFC 9110 9.2.2).</summary>
    public bool IsIdempotent => Method is HttpMethod.Get or HttpMethod.Head or HttpMethod.Put or HttpMethod.Delete or HttpMethod.Options or HttpMethod.Trace;

    internal override bool IsRequest => true;

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        Method = HttpMethod.Other;
        _methodLength = _targetStart = _targetLength = _authorityStart = _authorityLength = 0;
        ExpectsContinue = IsUpgrade = TakesTrailers = false;
        MaxForwards = null;
        _rootedTarget = [];
    }

    private protected override HttpRefusal ParseStartLine(ReadOnlySpan<byte> line)
    {
        var space = line.IndexOf((byte)' ');
        if (space <= 0) return HttpRefusal.InvalidRequestLine;
        var method = line[..space];
        if (method.Length > MethodLengthMax || method.ContainsAnyExcept(TokenBytes)) return HttpRefusal.InvalidMethod;
        _methodLength = space;
        Method = ResolveMethod(method);

        var rest = line[(space + 1)..];
        var versionSpace = rest.LastIndexOf((byte)' ');
        if (versionSpace <= 0) return HttpRefusal.InvalidRequestLine;
        var version = rest[(versionSpace + 1)..];
        if (version.Length != 8 || !version.StartsWith("HTTP/"u8) || version[6] != '.' || !char.IsAsciiDigit((char)version[5]) || !char.IsAsciiDigit((char)version[7]))
            return HttpRefusal.InvalidRequestLine;
        if (version[5] != '1') return HttpRefusal.UnsupportedVersion;
        MinorVersion = version[7] == '0' ? 0 : 1;
        return method.SequenceEqual("CONNECT"u8) ? HttpRefusal.ConnectRefused : ParseTarget(rest[..versionSpace], space + 1);
    }

    private static HttpMethod ResolveMethod(ReadOnlySpan<byte> method)
    {
        if (method.SequenceEqual("GET"u8)) return HttpMethod.Get;
        if (method.SequenceEqual("POST"u8)) return HttpMethod.Post;
        if (method.SequenceEqual("PUT"u8)) return HttpMethod.Put;
        if (method.SequenceEqual("HEAD"u8)) return HttpMethod.Head;
        if (method.SequenceEqual("DELETE"u8)) return HttpMethod.Delete;
        if (method.SequenceEqual("PATCH"u8)) return HttpMethod.Patch;
        if (method.SequenceEqual("OPTIONS"u8)) return HttpMethod.Options;
        return method.SequenceEqual("TRACE"u8) ? HttpMethod.Trace : HttpMethod.Other;
    }

    private HttpRefusal ParseTarget(ReadOnlySpan<byte> target, int start)
    {
        if (target.Length > Bounds.TargetSizeMax) return HttpRefusal.TargetTooLong;
        if (target.ContainsAnyExcept(TargetBytes)) return HttpRefusal.InvalidTarget;
        _targetStart = start;
        _targetLength = target.Length;
        _authorityStart = start;
        _authorityLength = 0;
        _rootedTarget = [];
        if (target[0] == '/') return HttpRefusal.None;
        if (target.Length == 1 && target[0] == '*') return Method == HttpMethod.Options ? HttpRefusal.None : HttpRefusal.InvalidTarget;

        var scheme = target.Length > 7 && Ascii.EqualsIgnoreCase(target[..7], "http://"u8) ? 7
            : target.Length > 8 && Ascii.EqualsIgnoreCase(target[..8], "https://"u8) ? 8
            : 0;
        if (scheme == 0) return HttpRefusal.InvalidTarget;
        var path = target[scheme..].IndexOfAny((byte)'/', (byte)'?');
        var authorityLength = path < 0 ? target.Length - scheme : path;

        if (!IsAuthority(target.Slice(scheme, authorityLength)) || authorityLength == 0) return HttpRefusal.InvalidHost;
        _authorityStart = start + scheme;
        _authorityLength = authorityLength;
        _targetStart = start + scheme + authorityLength;
        _targetLength = target.Length - scheme - authorityLength;
        if (path >= 0 && target[scheme + path] == '?') _rootedTarget = [(byte)'/', .. target[(scheme + path)..]];
        return HttpRefusal.None;
    }

    // uri-host [ ":" port ] (RFC 9110 4.2.1); a Host may be empty (RFC 9112 3.2).
    private static bool IsAuthority(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty) return true;
        int hostEnd;
        if (text[0] == '[')
        {
            hostEnd = text.IndexOf((byte)']') + 1;
            if (hostEnd < 4 || text[1..(hostEnd - 1)].ContainsAnyExcept(AddressBytes)) return false;
        }
        else
        {
            hostEnd = text.IndexOf((byte)':');
            if (hostEnd < 0) hostEnd = text.Length;
            if (hostEnd == 0 || text[..hostEnd].ContainsAnyExcept(HostBytes)) return false;
        }

        return hostEnd == text.Length || (text[hostEnd] == ':' && IsPort(text[(hostEnd + 1)..]));
    }

    private static bool IsPort(ReadOnlySpan<byte> digits)
    {
        if (digits.Length > 5 || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
        var port = 0;
        foreach (var digit in digits) port = port * 10 + (digit - '0');
        return port <= ushort.MaxValue;
    }

    private protected override HttpRefusal Conclude()
    {
        if (TryGet(KnownField.Host, out var host))
        {
            if (!IsAuthority(Value(host))) return HttpRefusal.InvalidHost;
            if (_authorityLength > 0 && !Ascii.EqualsIgnoreCase(Value(host), Authority)) return HttpRefusal.HostConflict;
            _authorityStart = host.ValueStart;
            _authorityLength = host.ValueLength;
        }
        else if (MinorVersion >= 1)
        {
            return HttpRefusal.MissingHost;
        }

        if (Has(KnownField.TransferEncoding))
        {
            if (MinorVersion == 0) return HttpRefusal.CodingInOldVersion;
            if (Has(KnownField.ContentLength)) return HttpRefusal.LengthAndCoding;
            Framing = BodyFraming.Chunked;
        }
        else if (Has(KnownField.ContentLength))
        {
            Framing = BodyFraming.Length;
        }

        if (Has(KnownField.Expect) && !OnlyExpectsContinue()) return HttpRefusal.UnknownExpectation;
        if (!TryCountForwards()) return HttpRefusal.InvalidMaxForwards;
        ExpectsContinue = Has(KnownField.Expect) && MinorVersion >= 1 && Framing != BodyFraming.None;
        TakesTrailers = Has(KnownField.TE) && MinorVersion >= 1 && NamesTrailers();
        IsUpgrade = MinorVersion >= 1 && SaysUpgrade && TryGet(KnownField.Upgrade, out var upgrade)
            && !Value(upgrade).IsEmpty && !NamesHttp2(Value(upgrade));
        KeepAlive = !SaysClose && (MinorVersion >= 1 || SaysKeepAlive);
        return HttpRefusal.None;
    }

    // With every other method the field means nothing (RFC 9110 7.6.2) and passes as it is.
    private bool TryCountForwards()
    {
        MaxForwards = null;
        if (Method is not (HttpMethod.Options or HttpMethod.Trace) || !Has(KnownField.MaxForwards)) return true;
        foreach (ref readonly var line in Fields)
        {
            if (line.Known != KnownField.MaxForwards) continue;
            var digits = Value(line);
            if (MaxForwards is not null || digits.IsEmpty || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
            var count = 0;
            foreach (var digit in digits) count = Math.Min(count * 10 + (digit - '0'), Bounds.MaxForwardsMax);
            MaxForwards = count;
        }

        return true;
    }

    private bool OnlyExpectsContinue()
    {
        foreach (ref readonly var line in Fields)
        {
            if (line.Known == KnownField.Expect && !Ascii.EqualsIgnoreCase(Value(line), "100-continue"u8)) return false;
        }

        return true;
    }

    private bool NamesTrailers()
    {
        foreach (ref readonly var line in Fields)
        {
            if (line.Known != KnownField.TE) continue;
            var list = Value(line);
            while (TryNextElement(ref list, out var coding))
            {
                if (Ascii.EqualsIgnoreCase(coding, "trailers"u8)) return true;
            }
        }

        return false;
    }

    // Cleartext HTTP/2 would make the connection opaque to the agent; the offer is dropped, not refused (RFC 9113 3.1).
    private static bool NamesHttp2(ReadOnlySpan<byte> protocols)
    {
        while (TryNextElement(ref protocols, out var protocol))
        {
            if (Ascii.EqualsIgnoreCase(protocol, "h2c"u8) || Ascii.EqualsIgnoreCase(protocol, "h2"u8)) return true;
            if (protocol.Length >= 5 && Ascii.EqualsIgnoreCase(protocol[..5], "http/"u8)) return true;
        }

        return false;
    }
}
