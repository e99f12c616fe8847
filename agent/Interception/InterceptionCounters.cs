using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>What one listener or pool has done, for metrics. Plain fields: counting must not cost.</summary>
public sealed class InterceptionCounters
{
    /// <summary>Upper bounds of the duration buckets in seconds, as OpenTelemetry advises for HTTP.</summary>
    public static readonly double[] DurationBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    private readonly long[] _durations = new long[DurationBounds.Length + 1];
    private readonly long[] _refusals = new long[Enum.GetValues<HttpRefusal>().Length];
    private readonly long[] _statusClasses = new long[6];
    private long _durationMicroseconds;
    private long _connections;
    private long _connectionsTotal;
    private long _active;
    private long _stalled;
    private long _bytesIn;
    private long _bytesOut;

    /// <summary>Open connections.</summary>
    public long Connections => Interlocked.Read(ref _connections);

    /// <summary>Connections taken since the start.</summary>
    public long ConnectionsTotal => Interlocked.Read(ref _connectionsTotal);

    /// <summary>Requests under way.</summary>
    public long Active => Interlocked.Read(ref _active);

    /// <summary>Connections cut because the client stalled.</summary>
    public long Stalled => Interlocked.Read(ref _stalled);

    /// <summary>Bytes of request bodies.</summary>
    public long BytesIn => Interlocked.Read(ref _bytesIn);

    /// <summary>Bytes of answers' bodies.</summary>
    public long BytesOut => Interlocked.Read(ref _bytesOut);

    /// <summary>Requests answered, by the class of the status (1 to 5); 0 counts those never answered.</summary>
    public long Answered(int statusClass) => Interlocked.Read(ref _statusClasses[statusClass]);

    /// <summary>Requests refused for <paramref name="refusal"/>.</summary>
    public long Refusals(HttpRefusal refusal) => Interlocked.Read(ref _refusals[(int)refusal]);

    /// <summary>Requests in duration bucket <paramref name="bucket"/> (not cumulative).</summary>
    public long Durations(int bucket) => Interlocked.Read(ref _durations[bucket]);

    /// <summary>Sum of all durations in seconds.</summary>
    public double DurationSum => Interlocked.Read(ref _durationMicroseconds) / 1e6;

    internal void ConnectionOpened()
    {
        Interlocked.Increment(ref _connections);
        Interlocked.Increment(ref _connectionsTotal);
    }

    internal void ConnectionClosed() => Interlocked.Decrement(ref _connections);

    internal void Refused(HttpRefusal refusal) => Interlocked.Increment(ref _refusals[(int)refusal]);

    internal void ClientStalled() => Interlocked.Increment(ref _stalled);

    internal long RequestBegun() => Interlocked.Increment(ref _active);

    internal void RequestEnded(int status, TimeSpan duration)
    {
        Interlocked.Decrement(ref _active);
        Interlocked.Increment(ref _statusClasses[Math.Clamp(status / 100, 0, 5)]);
        var seconds = duration.TotalSeconds;
        var bucket = 0;
        while (bucket < DurationBounds.Length && seconds > DurationBounds[bucket]) bucket++;
        Interlocked.Increment(ref _durations[bucket]);
        Interlocked.Add(ref _durationMicroseconds, (long)(seconds * 1e6));
    }

    internal void Received(long bytes) => Interlocked.Add(ref _bytesIn, bytes);

    internal void Sent(long bytes) => Interlocked.Add(ref _bytesOut, bytes);
}
