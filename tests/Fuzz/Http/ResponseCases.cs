using Cheops.Proto;
using Cheops.Proto.Http;
using static Cheops.Proto.Http.HttpRefusal;
using static Cheops.Tests.Fuzz.Http.HeadText;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>A response's head that is accepted.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Method">The method of the request that is answered.</param>
/// <param name="Bytes">The head.</param>
/// <param name="Summary">What <see cref="HeadText.Summary(ResponseHead)"/> says of it.</param>
public sealed record ResponseCase(string Name, HttpMethod Method, byte[] Bytes, string Summary);

/// <summary>Responses, for the tests and as seeds of the fuzzer.</summary>
public static class ResponseCases
{
    public static readonly ResponseCase[] All =
    [
        Get("length", "200 OK 1.1 Length:5 keep", "HTTP/1.1 200 OK", "Content-Length: 5"),
        Get("chunked", "200 OK 1.1 Chunked keep", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked"),
        Get("chunked, named by Connection", "200 OK 1.1 Chunked keep", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Connection: Transfer-Encoding"),
        Get("until close", "200 OK 1.1 UntilClose close", "HTTP/1.1 200 OK"),
        Get("until close, old version", "200 OK 1.0 UntilClose close", "HTTP/1.0 200 OK", "Connection: keep-alive"),
        Get("old version", "200 OK 1.0 Length:5 close", "HTTP/1.0 200 OK", "Content-Length: 5"),
        Get("old version kept alive", "200 OK 1.0 Length:5 keep", "HTTP/1.0 200 OK", "Content-Length: 5", "Connection: keep-alive"),
        Get("later minor version", "200 OK 1.1 Length:0 keep", "HTTP/1.9 200 OK", "Content-Length: 0"),
        Get("close", "200 OK 1.1 Length:5 close", "HTTP/1.1 200 OK", "Content-Length: 5", "Connection: close"),
        Get("empty reason", "200  1.1 Length:0 keep", "HTTP/1.1 200 ", "Content-Length: 0"),
        Get("no reason", "200  1.1 Length:0 keep", "HTTP/1.1 200", "Content-Length: 0"),
        Get("odd reason", "299 \u00E9\t(x)  1.1 Length:0 keep", "HTTP/1.1 299 \u00E9\t(x) ", "Content-Length: 0"),
        Get("unknown status", "999 X 1.1 Length:0 keep", "HTTP/1.1 999 X", "Content-Length: 0"),
        Get("no content", "204 No Content 1.1 None keep", "HTTP/1.1 204 No Content"),
        Get("no content of length nought", "204 No Content 1.1 None keep", "HTTP/1.1 204 No Content", "Content-Length: 0"),
        Get("no content with a body", "204 No Content 1.1 None close", "HTTP/1.1 204 No Content", "Content-Length: 5"),
        Get("no content in chunks", "204 No Content 1.1 None close", "HTTP/1.1 204 No Content", "Transfer-Encoding: chunked"),
        Get("not modified", "304 Not Modified 1.1 None keep", "HTTP/1.1 304 Not Modified", "Content-Length: 5"),
        Get("continue", "100 Continue 1.1 None keep interim", "HTTP/1.1 100 Continue"),
        Get("early hints", "103 Early Hints 1.1 None keep interim", "HTTP/1.1 103 Early Hints", "Link: </x>"),
        Get("interim with a body", "100 Continue 1.1 None close interim", "HTTP/1.1 100 Continue", "Content-Length: 5"),
        Get("switching", "101 Switching Protocols 1.1 None close switching", "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"),
        Get("switching to nothing", "101 Switching Protocols 1.1 None close", "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"),
        Get("switching that Connection does not name", "101 Switching Protocols 1.1 None close", "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket"),
        Get("underscored names", "200 OK 1.1 Length:0 keep", "HTTP/1.1 200 OK", "Content-Length: 0", "X_Remote_User: a", "Content_Length: 5"),
        new("answer to HEAD", HttpMethod.Head, Lines("HTTP/1.1 200 OK", "Content-Length: 5"), "200 OK 1.1 None keep"),
        new("chunked answer to HEAD", HttpMethod.Head, Lines("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), "200 OK 1.1 None keep"),
        new("answer to HEAD without a length", HttpMethod.Head, Lines("HTTP/1.1 200 OK"), "200 OK 1.1 None keep"),
    ];

    public static readonly RefusedCase[] Refused =
    [
        Bad(InvalidStatusLine, "HTTP/1.1 20 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 2000 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1  200 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 099 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 abc OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 +20 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 200\tOK"),
        Bad(InvalidStatusLine, "HTTP/1.1\t200 OK"),
        Bad(InvalidStatusLine, "HTTP/1.x 200 OK"),
        Bad(InvalidStatusLine, "HTTP/1.1 200 O\0K"),
        Bad(InvalidStatusLine, "HTTP/1.1 200 O\u007FK"),
        Bad(InvalidStatusLine, "HTTP/1.1 200 O\rK"),
        Bad(InvalidStatusLine, "http/1.1 200 OK"),
        Bad(InvalidStatusLine, "ICY 200 OK xx"),
        Bad(InvalidStatusLine, "HTTP/1.1"),
        Bad(InvalidStatusLine, ""),
        Bad(UnsupportedVersion, "HTTP/2.0 200 OK"),
        Bad(UnsupportedVersion, "HTTP/0.9 200 OK"),
        new("empty line before", Bytes("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), InvalidStatusLine),
        Bad(LengthAndCoding, "HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"),
        Bad(CodingInOldVersion, "HTTP/1.0 200 OK", "Transfer-Encoding: chunked"),
        Bad(UnsupportedTransferCoding, "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"),
        Bad(InvalidTransferEncoding, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked, identity"),
        Bad(RepeatedContentLength, "HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"),
        Bad(InvalidContentLength, "HTTP/1.1 200 OK", "Content-Length: 5, 5"),
        Bad(InvalidContentLength, "HTTP/1.1 200 OK", "Content-Length: -5"),
        Bad(SpaceBeforeColon, "HTTP/1.1 200 OK", "Content-Length : 5"),
        Bad(LineFolding, "HTTP/1.1 200 OK", "X: y", " Content-Length: 5"),
        Bad(InvalidFieldName, "HTTP/1.1 200 OK", "X\0: y"),
        Bad(InvalidFieldValue, "HTTP/1.1 200 OK", "X: \0"),
        Bad(BareCarriageReturn, "HTTP/1.1 200 OK", "X: a\rb"),
        new("bare line feed", Bytes("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), BareLineFeed),
        Bad(InvalidConnection, "HTTP/1.1 200 OK", "Connection: a b"),
        Bad(ConnectionNamesProtectedField, "HTTP/1.1 200 OK", "Connection: Content-Length"),
        Bad(TooManyFields, ["HTTP/1.1 200 OK", .. Enumerable.Repeat("F: x", Bounds.FieldCountMax + 1)]),
        new("head too large", Bytes("HTTP/1.1 200 " + new string('x', Bounds.HeadSizeMax)), HeadTooLarge),
    ];

    private static ResponseCase Get(string name, string summary, params string[] lines) => new(name, HttpMethod.Get, Lines(lines), summary);

    private static RefusedCase Bad(HttpRefusal refusal, params string[] lines) =>
        new($"{refusal}: {string.Join(" | ", lines.Take(3)).Replace("\0", "<00>", StringComparison.Ordinal)}", Lines(lines), refusal);
}
