using Cheops.Proto;
using Cheops.Proto.Http;
using static Cheops.Proto.Http.HttpRefusal;
using static Cheops.Tests.Fuzz.Http.HeadText;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>
/// Requests that are refused, the known ways of request smuggling among them. For the tests and as seeds of the fuzzer.
/// </summary>
public static class RefusedRequestCases
{
    public static readonly RefusedCase[] All = [.. Lines_(), .. StartLines(), .. Targets(), .. Hosts(), .. Lengths(), .. Codings(), .. Names(), .. Values(), .. Connections(), .. Sizes()];

    private static RefusedCase Raw(string text, HttpRefusal refusal) => new(Shown(text), Bytes(text), refusal);

    private static RefusedCase First(string line, HttpRefusal refusal) => new("start: " + Shown(line), Lines(line, "Host: a"), refusal);

    private static RefusedCase Field(string lines, HttpRefusal refusal) =>
        new("field: " + Shown(lines), Bytes($"POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"), refusal);

    private static RefusedCase Host(string lines, HttpRefusal refusal) =>
        new("host: " + Shown(lines), Bytes($"GET / HTTP/1.1\r\n{lines}\r\n\r\n"), refusal);

    private static string Shown(string text) => string.Concat(text.Select(c => c is >= ' ' and <= '~' ? c.ToString() : $"<{(int)c:x2}>"));

    // ---- ends of lines ----
    private static IEnumerable<RefusedCase> Lines_() =>
    [
        Raw("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineFeed),
        Raw("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed),
        Raw("GET / HTTP/1.1\nHost: a\n\n", BareLineFeed),
        Raw("GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", BareLineFeed),
        Raw("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineFeed),
        Raw("\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BareLineFeed),
        Raw("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", InvalidRequestLine),
        Raw("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", InvalidMethod),
        Raw("GET / HTTP/1.1\rHost: a\r\n\r\n", InvalidRequestLine),
        Raw("GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", BareCarriageReturn),
        Raw("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BareCarriageReturn),
        Raw("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", InvalidRequestLine),
        Raw("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\rTransfer-Encoding: chunked\r\n\r\n", BareCarriageReturn),
    ];

    private static IEnumerable<RefusedCase> StartLines() =>
    [
        First("", InvalidMethod), // the empty line is passed over, and Host is no method
        First("GET /", InvalidRequestLine),
        First("GET", InvalidRequestLine),
        First("GET /  HTTP/1.1", InvalidTarget),
        First("GET  / HTTP/1.1", InvalidTarget),
        First("GET  HTTP/1.1", InvalidRequestLine),
        First("GET HTTP/1.1", InvalidRequestLine),
        First(" GET / HTTP/1.1", InvalidRequestLine),
        First("GET / HTTP/1.1 ", InvalidRequestLine),
        First("GET / HTTP/1.1\t", InvalidRequestLine),
        First("GET /\tHTTP/1.1", InvalidRequestLine),
        First("GET\t/ HTTP/1.1", InvalidMethod),
        First("GET / http/1.1", InvalidRequestLine),
        First("GET / HTTP/1.10", InvalidRequestLine),
        First("GET / HTTP/1.", InvalidRequestLine),
        First("GET / HTTP/11", InvalidRequestLine),
        First("GET / HTTP/1,1", InvalidRequestLine),
        First("GET / HTTP/+1.1", InvalidRequestLine),
        First("GET / HTTP/1.1\0", InvalidRequestLine),
        First("GET / HTTP/x.1", InvalidRequestLine),
        First("GET / ICE/1.1xx", InvalidRequestLine),
        First("G(T / HTTP/1.1", InvalidMethod),
        First("G\0T / HTTP/1.1", InvalidMethod),
        First("GET: / HTTP/1.1", InvalidMethod),
        First("\u00EF\u00BB\u00BFGET / HTTP/1.1", InvalidMethod),
        First("\u0016\u0003\u0001\u0002\0 / HTTP/1.1", InvalidMethod),
        First(new string('M', 33) + " / HTTP/1.1", InvalidMethod),
        First("GET / HTTP/2.0", UnsupportedVersion),
        First("GET / HTTP/0.9", UnsupportedVersion),
        First("GET / HTTP/3.1", UnsupportedVersion),
        Raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UnsupportedVersion),
        First("CONNECT a:443 HTTP/1.1", ConnectRefused),
        First("CONNECT / HTTP/1.1", ConnectRefused),
    ];

    private static IEnumerable<RefusedCase> Targets() =>
    [
        First("GET a HTTP/1.1", InvalidTarget),
        First("GET a:80 HTTP/1.1", InvalidTarget),
        First("GET * HTTP/1.1", InvalidTarget),
        First("OPTIONS ** HTTP/1.1", InvalidTarget),
        First("GET ?x HTTP/1.1", InvalidTarget),
        First("GET /a#b HTTP/1.1", InvalidTarget),
        First("GET /a b HTTP/1.1", InvalidTarget),
        First("GET /a HTTP/1.1 HTTP/1.1", InvalidTarget),
        First("GET /a\tb HTTP/1.1", InvalidTarget),
        First("GET /a\0 HTTP/1.1", InvalidTarget),
        First("GET /a\u007F HTTP/1.1", InvalidTarget),
        First("GET /\u00E9 HTTP/1.1", InvalidTarget),
        First("GET ftp://a/ HTTP/1.1", InvalidTarget),
        First("GET http:/a HTTP/1.1", InvalidTarget),
        First("GET http:// HTTP/1.1", InvalidTarget),
        First("GET http://?x HTTP/1.1", InvalidHost),
        First("GET http:///x HTTP/1.1", InvalidHost),
        First("GET http://user@a/ HTTP/1.1", InvalidHost),
        First("GET http://a:b/ HTTP/1.1", InvalidHost),
        First("GET http://b/ HTTP/1.1", HostConflict),
        First("GET http://a:80/ HTTP/1.1", HostConflict),
        new("absolute, empty Host", Lines("GET http://a/ HTTP/1.1", "Host:"), HostConflict),
    ];

    private static IEnumerable<RefusedCase> Hosts() =>
    [
        Raw("GET / HTTP/1.1\r\n\r\n", MissingHost),
        Raw("GET http://a/ HTTP/1.1\r\n\r\n", MissingHost),
        Raw("GET / HTTP/1.1\r\nHost : a\r\n\r\n", SpaceBeforeColon),
        Host("Host: a\r\nHost: a", RepeatedHost),
        Host("Host: a\r\nhost: b", RepeatedHost),
        Raw("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", RepeatedHost),
        Host("Host: a b", InvalidHost),
        Host("Host: a,b", InvalidHost),
        Host("Host: a, b", InvalidHost),
        Host("Host: a/b", InvalidHost),
        Host("Host: a?b", InvalidHost),
        Host("Host: a#b", InvalidHost),
        Host("Host: u@a", InvalidHost),
        Host("Host: http://a", InvalidHost),
        Host("Host: a\\b", InvalidHost),
        Host("Host: \u00E9", InvalidHost),
        Host("Host: :80", InvalidHost),
        Host("Host: a:b", InvalidHost),
        Host("Host: a:80:80", InvalidHost),
        Host("Host: a:-1", InvalidHost),
        Host("Host: a:65536", InvalidHost),
        Host("Host: a:000080", InvalidHost),
        Host("Host: ::1", InvalidHost),
        Host("Host: [::1", InvalidHost),
        Host("Host: []", InvalidHost),
        Host("Host: [::1]x", InvalidHost),
        Host("Host: [a.example]", InvalidHost),
        Host("Host: [::1]:x", InvalidHost),
    ];

    private static IEnumerable<RefusedCase> Lengths() =>
    [
        .. new[] { "+5", "-1", "- 1", "5,5", "5, 5", "5, 6", "5 5", "5;", "0x5", "5.0", "5e0", "1_000", "", "\"5\"", "\u00B2", "five", "1234567890123456789", "18446744073709551621" }
            .Select(value => Field("Content-Length: " + value, InvalidContentLength)),
        Field("Content-Length: \u000B5", InvalidFieldValue),
        Field("Content-Length: 5\u000C", InvalidFieldValue),
        Field("Content-Length: 5\0", InvalidFieldValue),
        Field("Content-Length: 5\r\nContent-Length: 5", RepeatedContentLength),
        Field("Content-Length: 5\r\nContent-Length: 6", RepeatedContentLength),
        Field("Content-Length: 5\r\ncontent-length:", RepeatedContentLength),
        Field("Content-Length: 5\r\nTransfer-Encoding: chunked", LengthAndCoding),
        Field("Transfer-Encoding: chunked\r\nContent-Length: 0", LengthAndCoding),
    ];

    private static IEnumerable<RefusedCase> Codings() =>
    [
        .. new[]
        {
            "chunked, identity", "identity", "identity, chunked", "chunked, chunked", "chunked,chunked", "chunked,", ",chunked", "chunked;q=1", "\"chunked\"", "'chunked'",
            "chunked chunked", "xchunked", "chunkedx", "x, chunked", "gzip, ,chunked", "gzip, chunked, chunked", "chunked, gzip", "gzip,", "", "cow", "chunke\u0064\u00AD",
        }.Select(value => Field("Transfer-Encoding: " + value, InvalidTransferEncoding)),
        Field("Transfer-Encoding: gzip, chunked", UnsupportedTransferCoding),
        Field("Transfer-Encoding: gzip", UnsupportedTransferCoding),
        Field("Transfer-Encoding: X-Compress ,\tdeflate,chunked", UnsupportedTransferCoding),
        Field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", InvalidTransferEncoding),
        Field("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", InvalidTransferEncoding),
        Field("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", InvalidTransferEncoding),
        Field("Transfer-Encoding: \u000Bchunked", InvalidFieldValue),
        Field("Transfer-Encoding: chunked\u000B", InvalidFieldValue),
        Field("Transfer-Encoding: \0chunked", InvalidFieldValue),
        Field("Transfer-Encoding: chunked\rX", BareCarriageReturn),
        Raw("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", CodingInOldVersion),
        Raw("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", CodingInOldVersion),
    ];

    private static IEnumerable<RefusedCase> Names() =>
    [
        Field("Transfer-Encoding : chunked", SpaceBeforeColon),
        Field("Transfer-Encoding\t: chunked", SpaceBeforeColon),
        Field("Transfer_Encoding: chunked", LookalikeFieldName),
        Field("transfer-encoding_: chunked\r\nContent_Length: 5", LookalikeFieldName),
        Field("CONTENT_LENGTH: 5", LookalikeFieldName),
        Field("X_Forwarded_For: 10.0.0.1", LookalikeFieldName),
        Field("X-Forwarded_Proto: https", LookalikeFieldName),
        Field("x_remote_user: admin", LookalikeFieldName),
        Field("X_Remote-Extra-" + new string('x', 100) + ": admin", LookalikeFieldName),
        Field("Cheops_Site: Site2", LookalikeFieldName),
        Field("X_Auth_Token: t", LookalikeFieldName),
        Field("Transfer Encoding: chunked", InvalidFieldName),
        Field("Transfer-Encoding\0: chunked", InvalidFieldName),
        Field("\0Transfer-Encoding: chunked", InvalidFieldName),
        Field("Transfer-Encod\u00EEng: chunked", InvalidFieldName),
        Field("Transfer\u00ADEncoding: chunked", InvalidFieldName),
        Field("\"X\": y", InvalidFieldName),
        Field("X(: y", InvalidFieldName),
        Field("GET / HTTP/1.1", InvalidFieldName),
        Field("X", InvalidFieldName),
        Field(": y", InvalidFieldName),
        Field(":", InvalidFieldName),
        Field(" Transfer-Encoding: chunked", LineFolding),
        Field("X: y\r\n z", LineFolding),
        Field("X: y\r\n\tTransfer-Encoding: chunked", LineFolding),
        Field("Content-Length:\r\n 5", InvalidContentLength),
        Field("X:\r\n 5", LineFolding),
        Raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n", LineFolding),
        Raw("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", LineFolding),
    ];

    private static IEnumerable<RefusedCase> Values() =>
    [
        .. Enumerable.Range(0, 0x20).Append(0x7F).Where(b => b is not ('\t' or '\r' or '\n'))
            .Select(b => Field($"X: a{(char)b}b", InvalidFieldValue)),
        Field("X: \u0001", InvalidFieldValue),
    ];

    private static IEnumerable<RefusedCase> Connections() =>
    [
        .. new[]
        {
            "Host", "content-length", "Authorization", "Cookie", "X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via", "Scope", "traceparent", "X-Request-ID",
            "X-Remote-User", "Cheops-Site", "X-Auth-Token", "Content-Type", "Expect", "Connection",
        }.Select(name => Field("Connection: close, " + name, ConnectionNamesProtectedField)),
        Field("Connection: close keep-alive", InvalidConnection),
        Field("Connection: \"close\"", InvalidConnection),
        Field("Connection: close;x", InvalidConnection),
        Field("Connection: close\r\nConnection: @", InvalidConnection),
        Field("Expect: 200-ok", UnknownExpectation),
        Field("Expect:", UnknownExpectation),
        Field("Expect: 100-continue, x", UnknownExpectation),
        Field("Expect: 100-continue\r\nExpect: x", UnknownExpectation),
        new("forwards of OPTIONS without a number", Lines("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards:"), InvalidMaxForwards),
        new("forwards of OPTIONS below nought", Lines("OPTIONS / HTTP/1.1", "Host: a", "Max-Forwards: -1"), InvalidMaxForwards),
        new("forwards of TRACE as a list", Lines("TRACE / HTTP/1.1", "Host: a", "Max-Forwards: 1, 1"), InvalidMaxForwards),
        new("forwards of TRACE twice", Lines("TRACE / HTTP/1.1", "Host: a", "Max-Forwards: 1", "Max-Forwards: 1"), InvalidMaxForwards),
    ];

    private static IEnumerable<RefusedCase> Sizes() =>
    [
        new("too many fields", Lines(["GET / HTTP/1.1", "Host: a", .. Enumerable.Repeat("F: x", Bounds.FieldCountMax)]), TooManyFields),
        new("head too large by one", RequestCases.Padded(Bounds.HeadSizeMax + 1), HeadTooLarge),
        new("head too large without an end", RequestCases.Padded(Bounds.HeadSizeMax * 2)[..(Bounds.HeadSizeMax + 1)], HeadTooLarge),
        new("target too long", Lines("GET /" + new string('x', Bounds.TargetSizeMax) + " HTTP/1.1", "Host: a"), TargetTooLong),
        new("target without an end", Bytes("GET /" + new string('x', Bounds.HeadSizeMax)), TargetTooLong),
        new("target larger than a head", Lines("GET /" + new string('x', Bounds.HeadSizeMax) + " HTTP/1.1", "Host: a"), TargetTooLong),
    ];
}
