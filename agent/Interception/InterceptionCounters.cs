using Cheops.Proto.Http;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Interception;

/// <summary>What one listener or pool has done, for metrics. Plain fields: counting must not cost.</summary>
public sealed class InterceptionCounters
{
    private readonly long[] _refusals = new long[Enum.GetValues<HttpRefusal>().Length];
    private readonly long[] _begun = new long[2 * Enum.GetValues<HttpMethod>().Length];
    private readonly long[] _cut = new long[6];
    private long _connections;
    private long _connectionsTotal;
    private long _connectionsRefused;
    private long _handshakesFailed;
    private long _active;
    private long _stalled;
    private long _headsLate;
    private long _bytesIn;
    private long _bytesOut;

    /// <summary>Open connections.</summary>
    public long Connections => Interlocked.Read(ref _connections);

    /// <summary>Connections taken since the start.</summary>
    public long ConnectionsTotal => Interlocked.Read(ref _connectionsTotal);

    /// <summary>Connections reset at once since there were too many.</summary>
    public long ConnectionsRefused => Interlocked.Read(ref _connectionsRefused);

    /// <summary>Connections on which no TLS session came about.</summary>
    public long HandshakesFailed => Interlocked.Read(ref _handshakesFailed);

    /// <summary>Requests under way.</summary>
    public long Active => Interlocked.Read(ref _active);

    /// <summary>Connections cut because the client stalled.</summary>
    public long Stalled => Interlocked.Read(ref _stalled);

    /// <summary>Connections ended with 408, since the head of a request did not arrive in time.</summary>
    public long HeadsLate => Interlocked.Read(ref _headsLate);

    /// <summary>Bytes of request bodies.</summary>
    public long BytesIn => Interlocked.Read(ref _bytesIn);

    /// <summary>Bytes of answers' bodies.</summary>
    public long BytesOut => Interlocked.Read(ref _bytesOut);

    /// <summary>How long requests took that are over.</summary>
    public RequestDurations Durations { get; } = new();

    /// <summary>Requests answered to the end, by the class of the status (1 to 5); 0 counts those never answered.</summary>
    public long Answered(int statusClass) => Durations.All.Where(series => series.Status / 100 == statusClass).Sum(series => series.Count) - Interlocked.Read(ref _cut[statusClass]);

    /// <summary>Requests whose answer began and broke off.</summary>
    public long Cut => _cut.Sum();

    /// <summary>Requests refused for <paramref name="refusal"/>.</summary>
    public long Refusals(HttpRefusal refusal) => Interlocked.Read(ref _refusals[(int)refusal]);

    /// <summary>Requests under way, by method and scheme; what never came is left out.</summary>
    public IEnumerable<(string Method, string Scheme, long Active)> ActiveByKind()
    {
        // What is over is counted first: it had begun by then.
        var over = Durations.All.GroupBy(series => (series.MethodName, series.Scheme)).ToDictionary(kind => kind.Key, kind => kind.Sum(series => series.Count));
        for (var i = 0; i < _begun.Length; i++)
        {
            var kind = (MethodName: DurationSeries.NameOf((HttpMethod)(i / 2)), Scheme: i % 2 == 1 ? "https" : "http");
            if (Interlocked.Read(ref _begun[i]) is > 0 and var begun) yield return (kind.MethodName, kind.Scheme, begun - over.GetValueOrDefault(kind));
        }
    }

    internal void ConnectionOpened()
    {
        Interlocked.Increment(ref _connections);
        Interlocked.Increment(ref _connectionsTotal);
    }

    internal void ConnectionClosed() => Interlocked.Decrement(ref _connections);

    internal void ConnectionRefused() => Interlocked.Increment(ref _connectionsRefused);

    internal void HandshakeFailed() => Interlocked.Increment(ref _handshakesFailed);

    internal void Refused(HttpRefusal refusal) => Interlocked.Increment(ref _refusals[(int)refusal]);

    internal void ClientStalled() => Interlocked.Increment(ref _stalled);

    internal void HeadLate() => Interlocked.Increment(ref _headsLate);

    internal long RequestBegun(HttpMethod method, bool isSecure)
    {
        Interlocked.Increment(ref _begun[2 * (int)method + (isSecure ? 1 : 0)]);
        return Interlocked.Increment(ref _active);
    }

    internal void RequestEnded(HttpMethod method, bool isSecure, int status, bool isCut, TimeSpan duration)
    {
        Interlocked.Decrement(ref _active);
        Durations.Add(method, isSecure, status, duration);
        if (isCut) Interlocked.Increment(ref _cut[Math.Clamp(status / 100, 0, 5)]);
    }

    internal void Received(long bytes) => Interlocked.Add(ref _bytesIn, bytes);

    internal void Sent(long bytes) => Interlocked.Add(ref _bytesOut, bytes);
}
