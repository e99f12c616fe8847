using Cheops.Proto;
using Cheops.Proto.Http;
using static Cheops.Tests.Fuzz.Http.HeadText;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>A request's head that is accepted.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Bytes">The head.</param>
/// <param name="Summary">What <see cref="HeadText.Summary(RequestHead)"/> says of it.</param>
public sealed record RequestCase(string Name, byte[] Bytes, string Summary);

/// <summary>A head that is refused.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Bytes">The head.</param>
/// <param name="Refusal">Why it is refused.</param>
public sealed record RefusedCase(string Name, byte[] Bytes, HttpRefusal Refusal);

/// <summary>Requests that are accepted, for the tests and as seeds of the fuzzer.</summary>
public static class RequestCases
{
    public static readonly RequestCase[] All =
    [
        // ---- start line and version ----
        new("plain", Lines("GET / HTTP/1.1", "Host: a"), "GET / 1.1 host=a None keep"),
        new("old version", Lines("GET /x HTTP/1.0"), "GET /x 1.0 host= None close"),
        new("old version kept alive", Lines("GET / HTTP/1.0", "Connection: Keep-Alive"), "GET / 1.0 host= None keep"),
        new("later minor version", Lines("GET / HTTP/1.7", "Host: a"), "GET / 1.1 host=a None keep"),
        new("empty line before", Bytes("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / 1.1 host=a None keep"),
        new("another method", Lines("M-SEARCH /x HTTP/1.1", "Host: a"), "M-SEARCH /x 1.1 host=a None keep"),
        new("lower-case method", Lines("connect / HTTP/1.1", "Host: a"), "connect / 1.1 host=a None keep"),
        new("method of all token bytes", Lines("!#$%&'*+-.^_`|~09AZaz / HTTP/1.1", "Host: a"), "!#$%&'*+-.^_`|~09AZaz / 1.1 host=a None keep"),
        new("longest method", Lines(new string('M', 32) + " / HTTP/1.1", "Host: a"), new string('M', 32) + " / 1.1 host=a None keep"),
        new("method of Kubernetes", Lines("PATCH /api/v1/namespaces/default/pods/x HTTP/1.1", "Host: a", "Content-Length: 2"), "PATCH /api/v1/namespaces/default/pods/x 1.1 host=a Length:2 keep"),

        // ---- targets ----
        new("target byte for byte", Lines("""GET /a%2F..//b/./?{x}="<>|\^`'[];@%zz HTTP/1.1""", "Host: a"), """GET /a%2F..//b/./?{x}="<>|\^`'[];@%zz 1.1 host=a None keep"""),
        new("asterisk", Lines("OPTIONS * HTTP/1.1", "Host: a"), "OPTIONS * 1.1 host=a None keep"),
        new("absolute", Lines("GET http://a:80/x?y HTTP/1.1", "Host: a:80"), "GET /x?y 1.1 host=a:80 None keep"),
        new("absolute, host in other case", Lines("GET HTTPS://Example.com/x HTTP/1.1", "Host: eXample.COM"), "GET /x 1.1 host=eXample.COM None keep"),
        new("absolute without path", Lines("GET http://a HTTP/1.1", "Host: a"), "GET / 1.1 host=a None keep"),
        new("absolute without path, OPTIONS", Lines("OPTIONS http://a HTTP/1.1", "Host: a"), "OPTIONS * 1.1 host=a None keep"),
        new("absolute with a query and no path", Lines("GET http://a?x=/y HTTP/1.1", "Host: a"), "GET /?x=/y 1.1 host=a None keep"),
        new("absolute with a query and no path, OPTIONS", Lines("OPTIONS https://a:1?x HTTP/1.1", "Host: a:1"), "OPTIONS /?x 1.1 host=a:1 None keep"),
        new("absolute with a query and no path, old version", Lines("GET http://a? HTTP/1.0"), "GET /? 1.0 host=a None close"),
        new("absolute in old version", Lines("GET http://a/x HTTP/1.0"), "GET /x 1.0 host=a None close"),
        new("longest target", Lines("GET /" + new string('x', Bounds.TargetSizeMax - 1) + " HTTP/1.1", "Host: a"), "GET /" + new string('x', Bounds.TargetSizeMax - 1) + " 1.1 host=a None keep"),

        // ---- Host ----
        new("empty host", Lines("GET / HTTP/1.1", "Host:"), "GET / 1.1 host= None keep"),
        new("host and port", Lines("GET / HTTP/1.1", "Host: site1.example:6443"), "GET / 1.1 host=site1.example:6443 None keep"),
        new("host and empty port", Lines("GET / HTTP/1.1", "Host: a:"), "GET / 1.1 host=a: None keep"),
        new("largest port", Lines("GET / HTTP/1.1", "Host: a:65535"), "GET / 1.1 host=a:65535 None keep"),
        new("IPv6 host", Lines("GET / HTTP/1.1", "Host: [::1]:8080"), "GET / 1.1 host=[::1]:8080 None keep"),
        new("host with underscore", Lines("GET / HTTP/1.1", "Host: my_service"), "GET / 1.1 host=my_service None keep"),

        // ---- framing ----
        new("length", Lines("POST / HTTP/1.1", "Host: a", "Content-Length: 5"), "POST / 1.1 host=a Length:5 keep"),
        new("length nought", Lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 0"), "PUT / 1.1 host=a Length:0 keep"),
        new("length between tabs", Lines("POST / HTTP/1.1", "Host: a", "content-length:\t 007\t "), "POST / 1.1 host=a Length:7 keep"),
        new("largest length", Lines("POST / HTTP/1.1", "Host: a", "Content-Length: 999999999999999999"), "POST / 1.1 host=a Length:999999999999999999 keep"),
        new("GET with a body", Lines("GET / HTTP/1.1", "Host: a", "Content-Length: 5"), "GET / 1.1 host=a Length:5 keep"),
        new("chunked", Lines("POST / HTTP/1.1", "Host: a", "TRANSFER-encoding: cHuNkEd"), "POST / 1.1 host=a Chunked keep"),

        // ---- connection ----
        new("close", Lines("GET / HTTP/1.1", "Host: a", "Connection: , close ,"), "GET / 1.1 host=a None close"),
        new("close in a second line", Lines("GET / HTTP/1.1", "Host: a", "Connection: x", "connection: Close"), "GET / 1.1 host=a None close"),
        new("close wins", Lines("GET / HTTP/1.0", "Connection: keep-alive, close"), "GET / 1.0 host= None close"),
        new("Proxy-Connection means nothing", Lines("GET / HTTP/1.1", "Host: a", "Proxy-Connection: close"), "GET / 1.1 host=a None keep"),
        new("Connection names fields", Lines("GET / HTTP/1.1", "Host: a", "Connection: X-Hop, Transfer-Encoding, Keep-Alive", "X-Hop: 1"), "GET / 1.1 host=a None keep"),
        new("expects", Lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-Continue"), "PUT / 1.1 host=a Length:1 keep expects"),
        new("expects twice", Lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 1", "Expect: 100-continue", "Expect: 100-continue"), "PUT / 1.1 host=a Length:1 keep expects"),
        new("expects without a body", Lines("GET / HTTP/1.1", "Host: a", "Expect: 100-continue"), "GET / 1.1 host=a None keep"),
        new("expects in old version", Lines("PUT / HTTP/1.0", "Content-Length: 1", "Expect: 100-continue"), "PUT / 1.0 host= Length:1 close"),
        new("takes trailers", Lines("GET / HTTP/1.1", "Host: a", "TE: deflate;q=0.5, trailers", "Connection: TE"), "GET / 1.1 host=a None keep trailers"),
        new("TE without trailers", Lines("GET / HTTP/1.1", "Host: a", "TE: deflate"), "GET / 1.1 host=a None keep"),

        // ---- upgrade ----
        new("WebSocket", Lines("GET / HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: websocket"), "GET / 1.1 host=a None keep upgrade"),
        new("SPDY", Lines("POST /api/v1/exec HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: SPDY/3.1", "Content-Length: 0"), "POST /api/v1/exec 1.1 host=a Length:0 keep upgrade"),
        new("upgrade that Connection does not name", Lines("GET / HTTP/1.1", "Host: a", "Upgrade: websocket"), "GET / 1.1 host=a None keep"),
        new("upgrade to nothing", Lines("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade:"), "GET / 1.1 host=a None keep"),
        new("upgrade in old version", Lines("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket"), "GET / 1.0 host= None close"),
        new("h2c", Lines("GET / HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), "GET / 1.1 host=a None keep"),
        new("h2c among others", Lines("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket, H2C"), "GET / 1.1 host=a None keep"),
        new("HTTP/2.0 as an upgrade", Lines("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: HTTP/2.0"), "GET / 1.1 host=a None keep"),

        // ---- Max-Forwards ----
        new("forwards", Lines("OPTIONS * HTTP/1.1", "Host: a", "Max-Forwards: 1"), "OPTIONS * 1.1 host=a None keep forwards:1"),
        new("no forwards left", Lines("TRACE / HTTP/1.1", "Host: a", "MAX-forwards: 000"), "TRACE / 1.1 host=a None keep forwards:0"),
        new("more forwards than count", Lines("TRACE / HTTP/1.1", "Host: a", "Max-Forwards: 99999999999999999999999999"), "TRACE / 1.1 host=a None keep forwards:255"),
        new("forwards mean nothing to GET", Lines("GET / HTTP/1.1", "Host: a", "Max-Forwards: x", "Max-Forwards: 0"), "GET / 1.1 host=a None keep"),

        // ---- fields ----
        new("values", Lines("GET / HTTP/1.1", "Host: a", "Empty:", "Spaces:   ", "Tab:\ta\tb\t", "High: \u0080\u00FF", "Odd: \"{};,:=@\\"), "GET / 1.1 host=a None keep"),
        new("names", Lines("GET / HTTP/1.1", "Host: a", "!#$%&'*+-.^_`|~09AZaz: 1", "my_field: 2", "content_type: 3", "x: 4", "x: 5"), "GET / 1.1 host=a None keep"),
        new("most fields", Lines(["GET / HTTP/1.1", "Host: a", .. Enumerable.Range(2, Bounds.FieldCountMax - 1).Select(i => $"F{i}: {i}")]), "GET / 1.1 host=a None keep"),
        new("largest head", Padded(Bounds.HeadSizeMax), "GET / 1.1 host=a None keep"),
        new("largest head after an empty line", [.. "\r\n"u8, .. Padded(Bounds.HeadSizeMax)], "GET / 1.1 host=a None keep"),
    ];

    /// <summary>A head of exactly so many bytes.</summary>
    public static byte[] Padded(int size)
    {
        var head = Lines("GET / HTTP/1.1", "Host: a", "Pad: ");
        return [.. head.AsSpan(0, head.Length - 4), .. Enumerable.Repeat((byte)'x', size - head.Length), .. "\r\n\r\n"u8];
    }
}
