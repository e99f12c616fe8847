using System.Collections.Immutable;
using System.Globalization;
using Cheops.Agent.Interception;
using Cheops.Proto.Http;

namespace Cheops.Agent.Api;

/// <summary>What was counted in front of one service, or over links.</summary>
/// <param name="Service">The service; for streams from other sites <see cref="Links"/>.</param>
/// <param name="Counters">The counters.</param>
public sealed record ServedService(string Service, InterceptionCounters Counters)
{
    /// <summary>What stands in place of a service for streams from other sites; no service can be called so.</summary>
    public const string Links = "@links";
}

/// <summary>Metrics of served requests, under OpenTelemetry's names for HTTP servers.</summary>
public static class InterceptionMetrics
{
    /// <summary>Writes them.</summary>
    public static void Write(MetricsWriter metrics, ImmutableArray<ServedService> all)
    {
        metrics.Metric("http_server_request_duration_seconds", MetricKind.Histogram, "Time from a request's head to the end of its answer.");
        Span<long> counts = stackalloc long[InterceptionCounters.DurationBounds.Length + 1];
        foreach (var (service, counters) in all)
        {
            for (var i = 0; i < counts.Length; i++) counts[i] = counters.Durations(i);
            metrics.Series(InterceptionCounters.DurationBounds, counts, counters.DurationSum, Of(service));
        }

        metrics.Metric("http_server_active_requests", MetricKind.Gauge, "Requests under way.");
        foreach (var (service, counters) in all) metrics.Sample(counters.Active, Of(service));
        metrics.Metric("cheops_http_responses_total", MetricKind.Counter, "Requests answered, by the class of the status; 'none' were never answered, since the client went away.");
        foreach (var (service, counters) in all)
        {
            for (var i = 0; i <= 5; i++)
                metrics.Sample(counters.Answered(i), Of(service), new MetricLabel("class", i == 0 ? "none" : i.ToString(CultureInfo.InvariantCulture) + "xx"));
        }

        metrics.Metric("cheops_http_refusals_total", MetricKind.Counter, "Requests refused as no acceptable HTTP, by the reason; reasons that never occurred are left out.");
        foreach (var (service, counters) in all)
        {
            foreach (var refusal in Enum.GetValues<HttpRefusal>())
            {
                if (counters.Refusals(refusal) is > 0 and var count) metrics.Sample(count, Of(service), new MetricLabel("reason", refusal.ToString()));
            }
        }

        Connections(metrics, all);
    }

    private static void Connections(MetricsWriter metrics, ImmutableArray<ServedService> all)
    {
        metrics.Metric("cheops_http_connections", MetricKind.Gauge, "Open connections with clients.");
        foreach (var (service, counters) in all) metrics.Sample(counters.Connections, Of(service));
        metrics.Metric("cheops_http_connections_total", MetricKind.Counter, "Connections taken.");
        foreach (var (service, counters) in all) metrics.Sample(counters.ConnectionsTotal, Of(service));
        metrics.Metric("cheops_http_stalled_total", MetricKind.Counter, "Connections cut because the client stalled.");
        foreach (var (service, counters) in all) metrics.Sample(counters.Stalled, Of(service));
        metrics.Metric("cheops_http_request_body_bytes_total", MetricKind.Counter, "Bytes of request bodies.");
        foreach (var (service, counters) in all) metrics.Sample(counters.BytesIn, Of(service));
        metrics.Metric("cheops_http_response_body_bytes_total", MetricKind.Counter, "Bytes of answers' bodies.");
        foreach (var (service, counters) in all) metrics.Sample(counters.BytesOut, Of(service));
    }

    private static MetricLabel Of(string service) => new("cheops_service", service);
}
