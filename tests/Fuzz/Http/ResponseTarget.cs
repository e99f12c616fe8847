using Cheops.Proto.Http;
using static Cheops.Tests.Fuzz.FuzzException;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>Responses: whole, split and growing give the same; what is relayed parses back.</summary>
internal sealed class ResponseTarget : IFuzzTarget
{
    private readonly ResponseHead _head = new();
    private readonly ResponseHead _other = new();

    public string Name => "response";

    public string Purpose => "response heads: split or whole the same, relayed what was read";

    public IEnumerable<byte[]> Seeds => ResponseCases.All.Select(one => one.Bytes).Concat(ResponseCases.Refused.Select(one => one.Bytes));

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "\r\n", "\n", "\r", "\r\n\r\n", " ", ":", ",", "\0", "HTTP/1.1 ", "HTTP/1.0 ", "200", "204", "304", "100", "101", " OK\r\n", "Content-Length: 5\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: ", "chunked", "gzip", "Connection: ", "close", "keep-alive", "Upgrade: websocket\r\n", "Keep-Alive: timeout=5\r\n", "Cheops-Site: x\r\n", "Set-Cookie: a\r\n", "\u00FF",
        }.Select(HeadText.Bytes),
    ];

    public int Run(byte[] input) =>
        HashCode.Combine(Run(input, HttpMethod.Get), Run(input, HttpMethod.Head));

    private int Run(byte[] input, HttpMethod method)
    {
        _head.RequestMethod = _other.RequestMethod = method;
        var status = new HeadParser().Parse(input, _head, out var consumed, out var refusal);
        var whole = status == ParseStatus.Done ? HeadText.Everything(_head) : "";
        foreach (var place in input.Length < 2 ? [] : Splits.Of(input))
        {
            var growing = new HeadParser();
            var split = growing.Parse(input.AsSpan(0, place), _other, out var splitConsumed, out _);
            if (split == ParseStatus.NeedMore) split = growing.Parse(HeadText.Split(input, place), _other, out splitConsumed, out _);
            Equal(status, split, $"growing at {place}");
            if (split != ParseStatus.Done) continue;
            Equal(consumed, splitConsumed, $"growing at {place}");
            Equal(whole, HeadText.Everything(_other), $"growing at {place}");
        }

        if (status != ParseStatus.Done) return (int)status << 8 | (int)refusal;
        RelayedResponse.Check(_head);
        return HashCode.Combine(_head.Framing, _head.KeepAlive, _head.IsInterim, _head.IsSwitching, _head.Status / 100, _head.NamesHopFields, Math.Min(_head.FieldCount, 8));
    }
}
