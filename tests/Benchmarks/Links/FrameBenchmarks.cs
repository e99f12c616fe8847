using BenchmarkDotNet.Attributes;
using Cheops.Proto.Links;

namespace Cheops.Tests.Benchmarks.Links;

/// <summary>What the frames between agents cost: a header with each piece of a body, an opening with each request, a heartbeat each second.</summary>
[MemoryDiagnoser]
public class FrameBenchmarks
{
    private const int PieceSize = 16 * 1024;

    private readonly Frame _piece = new() { Kind = FrameKind.Data, Epoch = 1, FromSession = 2, ToSession = 3, TimeToLiveMs = 5000, SentAtMs = 6, Stream = 7, Offset = 1 << 20, Sequence = 9 };
    private readonly byte[] _message = new byte[Frame.HeaderSize + PieceSize];

    private readonly StreamHead _opening = new()
    {
        Service = "nova",
        WorkflowId = "0af7651916cd43dd8448eb211c80319c",
        Scope = "{glance: Site2, nova: Site1}",
        User = "alice",
        Groups = ["dev", "ops"],
        ClientAddress = "10.0.0.1",
    };

    private readonly HeartbeatStatus _status = new()
    {
        Echo = 70_000,
        HeldMicroseconds = 350,
        HoldsReplicants = true,
        AgentVersion = "0.5.0",
        Incarnation = "0af7651916cd43dd8448eb211c80319c",
        Services = new HeartbeatStatus().Services.Add("glance", "2.16").Add("keystone", "3.14").Add("nova", "2.95"),
        RoundTrips = new HeartbeatStatus().RoundTrips.AddRange(Enumerable.Range(2, 10).Select(site => KeyValuePair.Create($"Site{site}", 1000L * site))),
    };

    private readonly byte[] _openingBytes;
    private readonly byte[] _statusBytes;

    /// <summary>Writes what is read below.</summary>
    public FrameBenchmarks()
    {
        _piece.Write(_message);
        (_openingBytes, _statusBytes) = (_opening.Encode().ToArray(), _status.Encode().ToArray());
    }

    [Benchmark]
    public byte WriteHeader()
    {
        _piece.Write(_message);
        return _message[0];
    }

    /// <summary>The payload stays where it is.</summary>
    [Benchmark]
    public int ReadFrame() => Frame.Read(_message, out _, out var payload) == FrameStatus.Understood ? payload.Length : throw new InvalidOperationException("the frame is not understood");

    [Benchmark]
    public int WriteOpening() => _opening.Encode().Length;

    [Benchmark]
    public StreamHead? ReadOpening() => StreamHead.Decode(_openingBytes);

    [Benchmark]
    public int WriteHeartbeatOfElevenSites() => _status.Encode().Length;

    [Benchmark]
    public HeartbeatStatus? ReadHeartbeatOfElevenSites() => HeartbeatStatus.Decode(_statusBytes);
}
