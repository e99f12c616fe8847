using System.Buffers;
using BenchmarkDotNet.Attributes;
using Cheops.Proto.Http;

namespace Cheops.Tests.Benchmarks.Http;

/// <summary>What a head costs: to read, and to write for the next hop.</summary>
[MemoryDiagnoser]
public class HeadBenchmarks
{
    private readonly byte[] _small = [.. "GET /v2/images/6b1d?limit=20 HTTP/1.1\r\nHost: 127.0.0.1:9292\r\nAccept: */*\r\n\r\n"u8];

    private readonly byte[] _usual =
    [
        .. "POST /v2.1/servers HTTP/1.1\r\nHost: nova.site1.example:8774\r\nUser-Agent: python-novaclient\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"u8,
        .. "Connection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 312\r\nX-Auth-Token: gAAAAABm8Zz0c2VjcmV0LXRva2VuLW9mLWEtdXNlci10aGF0LWlzLWxvbmc\r\n"u8,
        .. "X-OpenStack-Request-ID: req-5f7a1c5e-3a1f-4a35-9c0d-cb1f2b9d6a11\r\nOpenStack-API-Version: compute 2.90\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"u8,
    ];

    private readonly byte[] _answer = [.. "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 128\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\n\r\n"u8];

    private readonly RequestHead _request = new();
    private readonly RequestHead _parsed = new();
    private readonly ResponseHead _response = new();
    private readonly HeadEdits _edits = new();
    private readonly ArrayBufferWriter<byte> _output = new(4096);

    /// <summary>Parses what is written below.</summary>
    [GlobalSetup]
    public void Prepare() => new HeadParser().Parse(_usual, _parsed, out _, out _);

    [Benchmark]
    public ParseStatus ReadSmallRequest() => new HeadParser().Parse(_small, _request, out _, out _);

    [Benchmark]
    public ParseStatus ReadUsualRequest() => new HeadParser().Parse(_usual, _request, out _, out _);

    [Benchmark]
    public ParseStatus ReadAnswer() => new HeadParser().Parse(_answer, _response, out _, out _);

    [Benchmark]
    public int WriteUsualRequest()
    {
        _output.ResetWrittenCount();
        _edits.Clear();
        _edits.Added.Add("Via"u8, "1.1 Site1"u8).Add("X-Forwarded-For"u8, "10.0.0.1"u8);
        HeadWriter.WriteRequest(_output, _parsed, _parsed.Target, _edits);
        return _output.WrittenCount;
    }
}

/// <summary>What the chunked coding costs for each mebibyte.</summary>
[MemoryDiagnoser]
public class ChunkedBenchmarks
{
    private byte[] _body = [];

    /// <summary>Size of each chunk in bytes.</summary>
    [Params(128, 4096, 65536)]
    public int ChunkSize { get; set; }

    /// <summary>Makes the body.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        var body = new List<byte>();
        for (var left = 1 << 20; left > 0; left -= ChunkSize)
        {
            Span<byte> head = new byte[HeadWriter.ChunkHeadSizeMax];
            body.AddRange([.. head[..HeadWriter.WriteChunkHead(head, ChunkSize)], .. new byte[ChunkSize], .. "\r\n"u8]);
        }

        _body = [.. body, .. "0\r\n\r\n"u8];
    }

    [Benchmark]
    public int ReadMebibyte()
    {
        var decoder = new ChunkedDecoder();
        var total = 0;
        for (var at = 0; decoder.Step(_body.AsSpan(at), out var consumed, out _, out var length, out _) != ChunkedStep.Done; at += consumed) total += length;
        decoder.Reset();
        return total;
    }
}
