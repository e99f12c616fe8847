using Cheops.Proto.Http;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>Requests: whole, split and growing give the same; a second parser agrees; what is forwarded parses back.</summary>
internal sealed class RequestTarget : IFuzzTarget
{
    private readonly RequestHead _head = new();
    private readonly RequestHead _other = new();

    public string Name => "request";

    public string Purpose => "request heads: split or whole the same, as a second parser says, forwarded what was read";

    public IEnumerable<byte[]> Seeds => RequestCases.All.Select(one => one.Bytes).Concat(RefusedRequestCases.All.Select(one => one.Bytes));

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", "\0", "GET ", "CONNECT ", "OPTIONS ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0", "http://a", "/", "*", "a:80", "[::1]",
            "Host: a\r\n", "Content-Length: 5\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: ", "chunked", "identity", "gzip", "Connection: ", "close", "keep-alive",
            "upgrade", "Upgrade: websocket\r\n", "h2c", "TE: trailers\r\n", "Expect: 100-continue\r\n", "Expect: ", "X-Remote-User: a\r\n", "Content_Length: 5\r\n", "_", "18446744073709551616", "+5", "X: y\r\n",
            "Proxy-Authorization: x\r\n", "Keep-Alive: x\r\n", "TRACE ", "Max-Forwards: 1\r\n", "Max-Forwards: ", "http://a?",
        }.Select(HeadText.Bytes),
    ];

    public int Run(byte[] input)
    {
        var status = new HeadParser().Parse(input, _head, out var consumed, out var refusal);
        CheckSplits(input, status, consumed, refusal);
        CheckReference(input, status);
        if (status != ParseStatus.Done) return (int)status << 8 | (int)refusal;
        ForwardedRequest.Check(_head);
        return HashCode.Combine(_head.Framing, _head.KeepAlive, _head.IsUpgrade, _head.TakesTrailers, _head.ExpectsContinue, _head.MinorVersion, _head.NamesHopFields, Math.Min(_head.FieldCount, 8));
    }

    private void CheckSplits(byte[] input, ParseStatus status, long consumed, HttpRefusal refusal)
    {
        if (input.Length < 2) return;
        var whole = status == ParseStatus.Done ? HeadText.Everything(_head) : "";
        foreach (var place in Splits.Of(input))
        {
            var split = new HeadParser().Parse(HeadText.Split(input, place), _other, out var splitConsumed, out var splitRefusal);
            Equal((status, consumed, refusal), (split, splitConsumed, splitRefusal), $"split at {place}");
            if (split == ParseStatus.Done) Equal(whole, HeadText.Everything(_other), $"split at {place}");

            var growing = new HeadParser();
            var first = growing.Parse(input.AsSpan(0, place), _other, out var firstConsumed, out _);
            if (first == ParseStatus.NeedMore) first = growing.Parse(HeadText.Split(input, place), _other, out firstConsumed, out _);
            Equal(status, first, $"growing at {place}");
            if (first != ParseStatus.Done) continue;
            Equal(consumed, firstConsumed, $"growing at {place}");
            Equal(whole, HeadText.Everything(_other), $"growing at {place}");
        }
    }

    private static void CheckReference(byte[] input, ParseStatus status)
    {
        var text = HeadText.Text(input);
        if (text.StartsWith("\r\n", StringComparison.Ordinal)) text = text[2..];
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0) Demand(status != ParseStatus.Done, "a head without an end is done");
        else Equal(RequestReference.Accepts(text[..(end + 4)]) ? ParseStatus.Done : ParseStatus.Refused, status, "the second parser");
    }
}

/// <summary>Places to split an input at: few, and always the same ones for the same input.</summary>
internal static class Splits
{
    public static IEnumerable<int> Of(byte[] input)
    {
        var random = new Random(17 * input.Length + input[0] + 31 * input[input.Length / 2]);
        yield return 1;
        if (input.Length > 2) yield return random.Next(1, input.Length);
        var ending = input.AsSpan().IndexOf("\r\n\r\n"u8);
        if (ending > 0) yield return Math.Min(input.Length - 1, ending + random.Next(5));
    }
}
