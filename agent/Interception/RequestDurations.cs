using System.Collections.Immutable;
using Cheops.Proto;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Interception;

/// <summary>How long requests took, by what OpenTelemetry tells requests apart by: method, scheme and status. Counting allocates with the first of each only.</summary>
public sealed class RequestDurations
{
    /// <summary>Upper bounds of the buckets in seconds, as OpenTelemetry advises for HTTP.</summary>
    public static readonly ImmutableArray<double> BucketBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    private const int StatusMin = 100, StatusMax = 599;

    private static readonly int KindCount = 2 * Enum.GetValues<HttpMethod>().Length;

    // For each method and scheme that came the statuses, 0 first.
    private readonly DurationSeries?[]?[] _kinds = new DurationSeries?[]?[KindCount];
    private int _count;

    /// <summary>All series, in the order of method, scheme and status.</summary>
    public IEnumerable<DurationSeries> All => _kinds.Where(kind => kind is not null).SelectMany(kind => kind!).Where(series => series is not null)!;

    /// <summary>Counts one request.</summary>
    /// <param name="method">Its method.</param>
    /// <param name="isSecure">Whether it came by https.</param>
    /// <param name="status">The status that it was answered with; 0 for none.</param>
    /// <param name="duration">How long it took.</param>
    public void Add(HttpMethod method, bool isSecure, int status, TimeSpan duration)
    {
        ref var kind = ref _kinds[2 * (int)method + (isSecure ? 1 : 0)];
        var statuses = kind ?? Interlocked.CompareExchange(ref kind, new DurationSeries[StatusMax - StatusMin + 2], null) ?? kind!;
        var series = statuses[PlaceOf(status)] ?? Begin(statuses, method, isSecure, status);
        series.Add(duration);
    }

    private static int PlaceOf(int status) => status is >= StatusMin and <= StatusMax ? status - StatusMin + 1 : 0;

    private DurationSeries Begin(DurationSeries?[] statuses, HttpMethod method, bool isSecure, int status)
    {
        // A service may make statuses up: from some number of series on, they are told apart by their class alone.
        if (_count >= Bounds.DurationSeriesMax) status = status / 100 * 100;
        ref var series = ref statuses[PlaceOf(status)];
        if (series is not null) return series;
        var begun = new DurationSeries(method, isSecure, PlaceOf(status) == 0 ? 0 : status);
        if (Interlocked.CompareExchange(ref series, begun, null) is { } others) return others;
        Interlocked.Increment(ref _count);
        return begun;
    }
}

/// <summary>How long the requests of one method, scheme and status took.</summary>
/// <param name="method">The method.</param>
/// <param name="isSecure">Whether they came by https.</param>
/// <param name="status">The status; 0 for no answer.</param>
public sealed class DurationSeries(HttpMethod method, bool isSecure, int status)
{
    private readonly long[] _buckets = new long[RequestDurations.BucketBounds.Length + 1];
    private long _ticks;

    /// <summary>The method, as OpenTelemetry names it: one of the known ones, or <c>_OTHER</c>.</summary>
    public string MethodName { get; } = NameOf(method);

    /// <summary>The scheme.</summary>
    public string Scheme { get; } = isSecure ? "https" : "http";

    /// <summary>The status; 0 for no answer.</summary>
    public int Status => status;

    /// <summary>Sum of all durations in seconds.</summary>
    public double Sum => Interlocked.Read(ref _ticks) / (double)TimeSpan.TicksPerSecond;

    /// <summary>How many there were.</summary>
    public long Count
    {
        get
        {
            long count = 0;
            for (var i = 0; i < _buckets.Length; i++) count += Bucket(i);
            return count;
        }
    }

    /// <summary>How many were in one bucket, not cumulative; the last is beyond all bounds.</summary>
    public long Bucket(int index) => Interlocked.Read(ref _buckets[index]);

    internal void Add(TimeSpan duration)
    {
        var seconds = duration.TotalSeconds;
        var bounds = RequestDurations.BucketBounds;
        var bucket = 0;
        while (bucket < bounds.Length && seconds > bounds[bucket]) bucket++;
        Interlocked.Increment(ref _buckets[bucket]);
        Interlocked.Add(ref _ticks, duration.Ticks);
    }

    internal static string NameOf(HttpMethod method) => method == HttpMethod.Other ? "_OTHER" : method.ToString().ToUpperInvariant();
}
