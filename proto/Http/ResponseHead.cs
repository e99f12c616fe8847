namespace Cheops.Proto.Http;

/// <summary>The head of a response.</summary>
public sealed class ResponseHead : MessageHead
{
    private int _reasonStart;
    private int _reasonLength;

    /// <summary>The status code, 100 to 999.</summary>
    public int Status { get; private set; }

    /// <summary>The reason phrase as sent; may be empty.</summary>
    public ReadOnlySpan<byte> Reason => Bytes.Slice(_reasonStart, _reasonLength);

    /// <summary>Whether this is an interim response (1xx other than 101).</summary>
    public bool IsInterim => Status is >= 100 and < 200 and not 101;

    /// <summary>The method of the request that is answered; set before parsing, since it decides the framing.</summary>
    public HttpMethod RequestMethod { get; set; }

    internal override bool IsRequest => false;

    /// <summary>Whether the status says that no body follows, whatever the fields say (RFC 9112 6.3); HEAD and 304 apart.</summary>
    internal bool IsBodiless => Status is < 200 or 204;

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        Status = _reasonStart = _reasonLength = 0;
    }

    private protected override HttpRefusal ParseStartLine(ReadOnlySpan<byte> line)
    {
        if (line.Length < 12 || !line.StartsWith("HTTP/"u8) || line[6] != '.' || line[8] != ' ') return HttpRefusal.InvalidStatusLine;
        if (line[5] != '1') return HttpRefusal.UnsupportedVersion;
        if (!char.IsAsciiDigit((char)line[7])) return HttpRefusal.InvalidStatusLine;
        MinorVersion = line[7] == '0' ? 0 : 1;
        var code = line.Slice(9, 3);
        if (code.ContainsAnyExceptInRange((byte)'0', (byte)'9') || code[0] == '0') return HttpRefusal.InvalidStatusLine;
        Status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');

        // The space before an empty reason is often missing.
        if (line.Length > 12 && line[12] != ' ') return HttpRefusal.InvalidStatusLine;
        _reasonStart = Math.Min(13, line.Length);
        _reasonLength = line.Length - _reasonStart;
        foreach (var b in line[_reasonStart..])
        {
            if (b is < 0x20 and not 9 or 0x7F) return HttpRefusal.InvalidStatusLine;
        }

        return HttpRefusal.None;
    }

    private protected override HttpRefusal Conclude()
    {
        var coded = Has(KnownField.TransferEncoding);
        if (coded && MinorVersion == 0) return HttpRefusal.CodingInOldVersion;
        if (coded && Has(KnownField.ContentLength)) return HttpRefusal.LengthAndCoding;
        Framing = RequestMethod == HttpMethod.Head || IsBodiless || Status == 304 ? BodyFraming.None
            : coded ? BodyFraming.Chunked
            : Has(KnownField.ContentLength) ? BodyFraming.Length
            : BodyFraming.UntilClose;

        // A service that announces a body where there can be none may send it: what follows would be taken for the
        // next answer.
        var announcesBody = IsBodiless && (coded || ContentLength > 0);
        KeepAlive = !SaysClose && !announcesBody && (MinorVersion >= 1 || SaysKeepAlive) && Framing != BodyFraming.UntilClose && Status != 101;
        return HttpRefusal.None;
    }

    /// <summary>Whether the service agrees to switch protocols: 101 with Upgrade.</summary>
    public bool IsSwitching => Status == 101 && SaysUpgrade && Has(KnownField.Upgrade);
}
