using Cheops.Proto;
using Cheops.Proto.Http;
using static Cheops.Proto.Http.HttpRefusal;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>A chunked body that is accepted.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Text">The body as it is sent.</param>
/// <param name="Data">What it decodes to.</param>
/// <param name="Trailers">Its trailer lines.</param>
public sealed record ChunkedCase(string Name, string Text, string Data, string Trailers = "");

/// <summary>A chunked body that is refused.</summary>
/// <param name="Text">The body as it is sent.</param>
/// <param name="Refusal">Why it is refused.</param>
public sealed record RefusedChunkedCase(string Text, HttpRefusal Refusal)
{
    public string Name => $"{Refusal}, {Text.Length}: " + string.Concat(Text.Take(60).Select(c => c is >= ' ' and <= '~' ? c.ToString() : $"<{(int)c:x2}>"));
}

/// <summary>Chunked bodies, for the tests and as seeds of the fuzzer.</summary>
public static class ChunkedCases
{
    public static readonly ChunkedCase[] All =
    [
        new("empty", "0\r\n\r\n", ""),
        new("empty with many noughts", "000000000000000\r\n\r\n", ""),
        new("one", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        new("two", "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", "hello, world"),
        new("hexadecimal", "0a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        new("data that looks like framing", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"),
        new("extensions", "1;a\r\nx\r\n1;a=b\r\ny\r\n1;a=\"b;\\\"\u00E9\t\";c;d=e\r\nz\r\n0;end=1\r\n\r\n", "xyz"),
        new("white space around extensions", "1 \t;\ta\t=\tb ; c = \"d\" ;e\r\nx\r\n0\r\n\r\n", "x"),
        new("largest extension", $"1;{new string('e', Bounds.ChunkExtensionSizeMax - 2)}\r\nx\r\n0\r\n\r\n", "x"),
        new("trailers", "1\r\nx\r\n0\r\nDigest: abc\r\nEmpty:\r\nDate: now\r\n\r\n", "x", "Digest: abc\r\nEmpty:\r\nDate: now\r\n"),
        new("underscored trailer", "0\r\nx_y: abc\r\n\r\n", "", "x_y: abc\r\n"),
        new("most trailers", "0\r\n" + Repeat("T: x\r\n", Bounds.FieldCountMax) + "\r\n", "", Repeat("T: x\r\n", Bounds.FieldCountMax)),
        new("largest trailer", "0\r\n" + Trailer(Bounds.TrailerSizeMax) + "\r\n", "", Trailer(Bounds.TrailerSizeMax)),
    ];

    public static readonly RefusedChunkedCase[] Refused =
    [
        .. new[]
        {
            "\r\n", "x\r\n", "-1\r\n", "+1\r\nx", "0x1\r\nx", " 1\r\nx", "\t1\r\n", ";a\r\n", "g\r\n", "1g\r\n", "1_0\r\n", "1,2\r\n", "1\0\r\n", "1\u000B\r\n", "\u00B2\r\n", "1.\r\n",
            "0000000000000001\r\nx", "1000000000000000\r\n", "ffffffffffffffff\r\n", "fffffffffffffffff1\r\n",
        }.Select(text => new RefusedChunkedCase(text, InvalidChunkSize)),
        new("\n", InvalidChunkSize),
        new("1\nx\r\n0\r\n\r\n", BareLineFeed),
        new("1\rx", BareCarriageReturn),
        new("1\r\r\n", BareCarriageReturn),
        new("1;a\rx", BareCarriageReturn),
        new("0\rX", BareCarriageReturn),
        .. new[]
        {
            "1 \r\nx", "1\t\r\nx", "1 x\r\n", "1;\r\nx", "1;;a\r\n", "1; \r\n", "1;a=\r\n", "1;a= \r\n", "1;a \r\n", "1;a=b \r\n", "1;a b\r\n", "1;a=b c\r\n", "1;=b\r\n", "1;a==b\r\n",
            "1;a=\"b\"c\r\n", "1;a=\"\r\n", "1;a=\"\\\r\n", "1;a\n\r\n", "1;a=b\n\r\n", "1;a=\"b\n\"\r\n", "1;\nx\r\n0\r\n\r\n", "1;a\nx\r\n0\r\n\r\n", "1;a=\"\0\"\r\n", "1;a\0\r\n",
            "1;\u00E9\r\n", "1;a=\u00E9\r\n", "1;a=\"b\" c\r\n", "1;a=b\t\r\n",
        }.Select(text => new RefusedChunkedCase(text, InvalidChunkExtension)),
        new($"1;{new string('e', Bounds.ChunkExtensionSizeMax)}", ChunkExtensionTooLarge),
        new($"1;a=\"{new string('e', Bounds.ChunkExtensionSizeMax)}", ChunkExtensionTooLarge),
        new($"1{new string(' ', Bounds.ChunkExtensionSizeMax + 1)}", ChunkExtensionTooLarge),
        new("1\r\nxx\r\n0\r\n\r\n", InvalidChunkEnd),
        new("1\r\nx0\r\n\r\n", InvalidChunkEnd),
        new("1\r\nx\n0\r\n\r\n", InvalidChunkEnd),
        new("1\r\nx\rx", InvalidChunkEnd),
        new("2\r\nx\r\n0\r\n\r\n", InvalidChunkEnd),
        new("0\r\n" + Repeat("T: x\r\n", Bounds.FieldCountMax + 1) + "\r\n", TrailersTooLarge),
        new("0\r\n" + Trailer(Bounds.TrailerSizeMax + 1), TrailersTooLarge),
        new("0\r\nT: " + new string('x', Bounds.TrailerSizeMax), TrailersTooLarge),
        .. new[]
        {
            "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Proxy-Authorization", "Connection", "TE", "Trailer", "Upgrade", "Expect", "Scope", "Cheops-Site", "X-Remote-User",
            "X-Forwarded-For", "Forwarded", "Via", "Cookie", "Set-Cookie", "Content-Type", "Content-Encoding", "content-range", "Range", "Max-Forwards", "WWW-Authenticate",
            "Proxy-Authenticate", "X-Auth-Token", "Keep-Alive", "Location",
        }.Select(name => new RefusedChunkedCase($"0\r\n{name}: x\r\n\r\n", ForbiddenTrailer)),
        new("0\r\nT: x\n\r\n", BareLineFeed),
        new("0\r\n\n", BareLineFeed),
        new("0\r\nT: a\rb\r\n\r\n", BareCarriageReturn),
        new("0\r\nT: \0\r\n\r\n", InvalidFieldValue),
        new("0\r\nT : x\r\n\r\n", SpaceBeforeColon),
        new("0\r\nT\r\n\r\n", InvalidFieldName),
        new("0\r\n: x\r\n\r\n", InvalidFieldName),
        new("0\r\nT: x\r\n y\r\n\r\n", LineFolding),
        new("0\r\n T: x\r\n\r\n", LineFolding),
        new("0\r\nContent_Length: 5\r\n\r\n", LookalikeFieldName),
    ];

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    private static string Trailer(int size) => "T: " + new string('x', size - 5) + "\r\n";
}
