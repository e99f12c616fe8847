namespace Cheops.Proto.Http;

/// <summary>Every reason for which a message is refused. Nothing is refused that is not named here.</summary>
public enum HttpRefusal : byte
{
    /// <summary>Not refused.</summary>
    None,
    /// <summary>A line feed without a carriage return before it (RFC 9112 2.2).</summary>
    BareLineFeed,
    /// <summary>A carriage return without a line feed after it (RFC 9112 2.2).</summary>
    BareCarriageReturn,
    /// <summary>The request line is not <c>method SP target SP version</c> (RFC 9112 3).</summary>
    InvalidRequestLine,
    /// <summary>The method is no token, or too long.</summary>
    InvalidMethod,
    /// <summary>CONNECT: the agent is no tunnel (RFC 9110 9.3.6).</summary>
    ConnectRefused,
    /// <summary>The target has bytes that no target has, or a form that does not go with the method (RFC 9112 3.2).</summary>
    InvalidTarget,
    /// <summary>The target is longer than <see cref="Bounds.TargetSizeMax"/>.</summary>
    TargetTooLong,
    /// <summary>Not HTTP/1.x (RFC 9112 2.3); HTTP/2's preface is among these.</summary>
    UnsupportedVersion,
    /// <summary>The head is longer than <see cref="MessageHead.SizeMax"/>.</summary>
    HeadTooLarge,
    /// <summary>More than <see cref="MessageHead.FieldCountMax"/> field lines.</summary>
    TooManyFields,
    /// <summary>A line begins with white space: obsolete folding, or a field before the first (RFC 9112 2.2, 5.2).</summary>
    LineFolding,
    /// <summary>White space between a field's name and its colon (RFC 9112 5.1).</summary>
    SpaceBeforeColon,
    /// <summary>A field's name is no token, or there is no colon (RFC 9110 5.1).</summary>
    InvalidFieldName,
    /// <summary>
    /// A request field's name is that of a field that matters but for <c>_</c> in place of <c>-</c>: services that turn
    /// both into the same variable (CGI, WSGI) would take it for that field.
    /// </summary>
    LookalikeFieldName,
    /// <summary>A field's value has a control character, NUL among them (RFC 9110 5.5).</summary>
    InvalidFieldValue,
    /// <summary>An HTTP/1.1 request without Host (RFC 9112 3.2).</summary>
    MissingHost,
    /// <summary>More than one Host (RFC 9112 3.2).</summary>
    RepeatedHost,
    /// <summary>Host, or the target's authority, is no host and port (RFC 9112 3.2).</summary>
    InvalidHost,
    /// <summary>Host and the authority of an absolute target differ.</summary>
    HostConflict,
    /// <summary>Content-Length is no number, a list, or too large (RFC 9112 6.3).</summary>
    InvalidContentLength,
    /// <summary>More than one Content-Length, even if they agree (RFC 9112 6.3 allows refusing).</summary>
    RepeatedContentLength,
    /// <summary>Both Content-Length and Transfer-Encoding (RFC 9112 6.1).</summary>
    LengthAndCoding,
    /// <summary>Transfer-Encoding does not end in exactly one <c>chunked</c>, or is no list of tokens (RFC 9112 6.1).</summary>
    InvalidTransferEncoding,
    /// <summary>A transfer coding other than <c>chunked</c> (RFC 9112 6.1).</summary>
    UnsupportedTransferCoding,
    /// <summary>Transfer-Encoding in an HTTP/1.0 message (RFC 9112 6.1).</summary>
    CodingInOldVersion,
    /// <summary>Connection is no list of tokens (RFC 9110 7.6.1).</summary>
    InvalidConnection,
    /// <summary>Connection names a field that no hop may take away.</summary>
    ConnectionNamesProtectedField,
    /// <summary>An expectation other than <c>100-continue</c> (RFC 9110 10.1.1).</summary>
    UnknownExpectation,
    /// <summary>Max-Forwards of an OPTIONS or TRACE request is not one number (RFC 9110 7.6.2): it cannot be counted down.</summary>
    InvalidMaxForwards,
    /// <summary>A chunk's size is no hexadecimal number, or has more than 15 digits (RFC 9112 7.1).</summary>
    InvalidChunkSize,
    /// <summary>A chunk extension is malformed (RFC 9112 7.1.1).</summary>
    InvalidChunkExtension,
    /// <summary>Chunk extensions longer than <see cref="Bounds.ChunkExtensionSizeMax"/>.</summary>
    ChunkExtensionTooLarge,
    /// <summary>A chunk's data is not followed by CRLF (RFC 9112 7.1).</summary>
    InvalidChunkEnd,
    /// <summary>The trailer section is longer than <see cref="Bounds.TrailerSizeMax"/> or has too many fields.</summary>
    TrailersTooLarge,
    /// <summary>A trailer field that may only stand in a head, such as Content-Length (RFC 9110 6.5.1).</summary>
    ForbiddenTrailer,
    /// <summary>The status line is not <c>version SP status [SP reason]</c> (RFC 9112 4).</summary>
    InvalidStatusLine,
}

/// <summary>What a refusal means to the one who is refused.</summary>
public static class HttpRefusals
{
    /// <summary>The status code that answers a refused request.</summary>
    public static int Status(this HttpRefusal refusal) => refusal switch
    {
        HttpRefusal.ConnectRefused or HttpRefusal.UnsupportedTransferCoding => 501,
        HttpRefusal.TargetTooLong => 414,
        HttpRefusal.UnsupportedVersion => 505,
        HttpRefusal.HeadTooLarge or HttpRefusal.TooManyFields or HttpRefusal.TrailersTooLarge => 431,
        HttpRefusal.UnknownExpectation => 417,
        _ => 400,
    };

    /// <summary>A sentence for a person: what was found, and what was expected.</summary>
    public static string Describe(this HttpRefusal refusal) => refusal switch
    {
        HttpRefusal.None => "nothing is wrong",
        HttpRefusal.BareLineFeed => "a line ends in a line feed alone; lines end in CR LF",
        HttpRefusal.BareCarriageReturn => "a carriage return stands alone; lines end in CR LF",
        HttpRefusal.InvalidRequestLine => "the request line is not 'METHOD target HTTP/1.1', with one space between them",
        HttpRefusal.InvalidMethod => "the method is not a token of at most 32 characters",
        HttpRefusal.ConnectRefused => "CONNECT is not served: the agent stands in front of services and is no tunnel",
        HttpRefusal.InvalidTarget => "the request target is not a path, an absolute http(s) URL, or '*' with OPTIONS, or has characters that must be percent-encoded",
        HttpRefusal.TargetTooLong => $"the request target is longer than {Bounds.TargetSizeMax} bytes",
        HttpRefusal.UnsupportedVersion => "the version is not HTTP/1.0 or HTTP/1.1",
        HttpRefusal.HeadTooLarge => $"the head is larger than {Bounds.HeadSizeMax} bytes",
        HttpRefusal.TooManyFields => $"there are more than {Bounds.FieldCountMax} fields",
        HttpRefusal.LineFolding => "a field line begins with white space (line folding is obsolete)",
        HttpRefusal.SpaceBeforeColon => "white space stands between a field's name and its colon",
        HttpRefusal.InvalidFieldName => "a field's name is not a token followed by a colon",
        HttpRefusal.LookalikeFieldName => "a field's name differs from one that matters only by '_' in place of '-'",
        HttpRefusal.InvalidFieldValue => "a field's value has a control character",
        HttpRefusal.MissingHost => "an HTTP/1.1 request needs a Host field",
        HttpRefusal.RepeatedHost => "Host is given more than once",
        HttpRefusal.InvalidHost => "Host is not a host name or address with an optional port",
        HttpRefusal.HostConflict => "Host and the host of the request target differ",
        HttpRefusal.InvalidContentLength => "Content-Length is not one decimal number",
        HttpRefusal.RepeatedContentLength => "Content-Length is given more than once",
        HttpRefusal.LengthAndCoding => "both Content-Length and Transfer-Encoding are given",
        HttpRefusal.InvalidTransferEncoding => "Transfer-Encoding is not exactly 'chunked'",
        HttpRefusal.UnsupportedTransferCoding => "a transfer coding other than 'chunked' is asked for",
        HttpRefusal.CodingInOldVersion => "Transfer-Encoding does not exist in HTTP/1.0",
        HttpRefusal.InvalidConnection => "Connection is not a list of tokens",
        HttpRefusal.ConnectionNamesProtectedField => "Connection names a field that must reach the service",
        HttpRefusal.UnknownExpectation => "Expect is not '100-continue'",
        HttpRefusal.InvalidMaxForwards => "Max-Forwards is not one decimal number",
        HttpRefusal.InvalidChunkSize => "a chunk's size is not a hexadecimal number of at most 15 digits",
        HttpRefusal.InvalidChunkExtension => "a chunk extension is malformed",
        HttpRefusal.ChunkExtensionTooLarge => $"a chunk has more than {Bounds.ChunkExtensionSizeMax} bytes of extensions",
        HttpRefusal.InvalidChunkEnd => "a chunk's data is not followed by CR LF",
        HttpRefusal.TrailersTooLarge => $"the trailer section is larger than {Bounds.TrailerSizeMax} bytes",
        HttpRefusal.ForbiddenTrailer => "a trailer field may only stand in a head",
        HttpRefusal.InvalidStatusLine => "the status line is not 'HTTP/1.1 status reason'",
        _ => throw new ArgumentOutOfRangeException(nameof(refusal)),
    };
}
