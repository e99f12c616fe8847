using System.Buffers;
using System.Text;
using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Wire;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>
/// All that a client sends on one connection, forwarded as the agent does it up to the first refusal: readers with every
/// known habit find the same requests in what comes out.
/// </summary>
internal sealed class ForwardTarget : IFuzzTarget
{
    // More says nothing new, and the readers are slow.
    private const int RequestCountMax = 8;

    private readonly RequestHead _head = new();

    public string Name => "forward";

    public string Purpose => "whole connections: no two readers disagree on what was forwarded";

    public IEnumerable<byte[]> Seeds =>
    [
        .. new[]
        {
            "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X\r\nUpgrade: websocket\r\nX: y\r\nTE: trailers\r\n\r\n",
        }.Select(HeadText.Bytes),
        .. RefusedRequestCases.All.Where(one => one.Bytes.Length < 2048).Select(one => one.Bytes),
        .. ChunkedCases.All.Where(one => one.Text.Length < 1024).Select(one => HeadText.Bytes("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + one.Text)),
    ];

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "\r\n", "\n", "\r", "\r\n\r\n", "\r\n\n", "\t", " ", ":", ";", "\0", "_", "0\r\n\r\n", "1\r\nx\r\n", "1;a\r\nx\r\n", "GET /b HTTP/1.1\r\nHost: a\r\n\r\n", "POST /c HTTP/1.1\r\nHost: a\r\n", "Content-Length: 5\r\n",
            "Content-Length: 0\r\n", "Content_Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: x\r\n", "Transfer_Encoding: chunked\r\n", "Transfer-Encoding : chunked\r\n", " X: y\r\n", ": x\r\n",
            "Connection: close, X\r\n", "Connection: Transfer-Encoding\r\n", "Upgrade: h2c\r\n", "TE: trailers\r\n", "Host: b\r\n", "http://a", "X: \xFF\r\n", "Expect: 100-continue\r\n", "Trailer: X\r\n", "\x0B", "\x0C", "\x85", "\xA0",
        }.Select(HeadText.Bytes),
    ];

    public int Run(byte[] input)
    {
        var forwarded = new ArrayBufferWriter<byte>();
        var at = 0;
        var requests = 0;
        var refusal = HttpRefusal.None;
        var shape = 0;
        while (requests < RequestCountMax && at < input.Length)
        {
            var status = new HeadParser().Parse(input.AsSpan(at), _head, out var consumed, out refusal);
            if (status != ParseStatus.Done) break;
            at += (int)consumed;
            shape = HashCode.Combine(shape, _head.Framing, _head.IsUpgrade);
            HeadWriter.WriteRequest(forwarded, _head, _head.Target, new HeadEdits(), "a"u8);
            if (!ForwardBody(input, ref at, forwarded)) break;
            requests++;
        }

        Agreement.Demand(HeadText.Text(forwarded.WrittenSpan));
        return HashCode.Combine(requests, refusal, shape);
    }

    private bool ForwardBody(byte[] input, ref int at, ArrayBufferWriter<byte> to)
    {
        if (_head.Framing == BodyFraming.Chunked)
        {
            var body = ChunkedReading.Decode(input[at..]);
            at += body.Consumed;
            if (body.Data.Length > 0) to.Write(Encoding.Latin1.GetBytes($"{body.Data.Length:x}\r\n{body.Data}\r\n"));
            if (body.Step != ChunkedStep.Done) return false;
            to.Write(Encoding.Latin1.GetBytes($"0\r\n{body.Trailers}\r\n"));
            return true;
        }

        var length = (int)Math.Min(_head.ContentLength, input.Length - at);
        to.Write(input.AsSpan(at, length));
        at += length;
        return length == _head.ContentLength;
    }
}
