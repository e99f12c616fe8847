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
        metrics.Metric("http_server_request_duration_seconds", MetricKind.Histogram, "Time from a request's head to the end of its answer; without a status where there was no answer.");
        foreach (var (service, counters) in all) Durations(metrics, counters.Durations, Of(service));
        metrics.Metric("http_server_active_requests", MetricKind.Gauge, "Requests under way.");
        foreach (var (service, counters) in all)
        {
            foreach (var (method, scheme, active) in counters.ActiveByKind()) metrics.Sample(active, Of(service), Method(method), Scheme(scheme));
        }

        metrics.Metric("cheops_http_responses_total", MetricKind.Counter, "Requests answered, by the class of the status; 'cut' were answered in part only, 'none' not at all, mostly since the client went away.");
        foreach (var (service, counters) in all)
        {
            for (var i = 0; i <= 5; i++)
                metrics.Sample(counters.Answered(i), Of(service), new MetricLabel("class", i == 0 ? "none" : i.ToString(CultureInfo.InvariantCulture) + "xx"));
            metrics.Sample(counters.Cut, Of(service), new MetricLabel("class", "cut"));
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

    /// <summary>Writes a histogram's series with what OpenTelemetry tells requests apart by.</summary>
    /// <param name="metrics">Where; the metric is begun.</param>
    /// <param name="durations">The series.</param>
    /// <param name="labels">Labels of all of them.</param>
    public static void Durations(MetricsWriter metrics, RequestDurations durations, params ReadOnlySpan<MetricLabel> labels)
    {
        var counts = new long[RequestDurations.BucketBounds.Length + 1];
        foreach (var series in durations.All)
        {
            for (var i = 0; i < counts.Length; i++) counts[i] = series.Bucket(i);
            var status = series.Status.ToString(CultureInfo.InvariantCulture);
            MetricLabel[] own = series.Status == 0
                ? [.. labels, Method(series.MethodName), Scheme(series.Scheme)]
                : [.. labels, Method(series.MethodName), Scheme(series.Scheme), new MetricLabel("http_response_status_code", status)];
            metrics.Series(RequestDurations.BucketBounds.AsSpan(), counts, series.Sum, own);
        }
    }

    private static MetricLabel Method(string method) => new("http_request_method", method);

    private static MetricLabel Scheme(string scheme) => new("url_scheme", scheme);

    private static void Connections(MetricsWriter metrics, ImmutableArray<ServedService> all)
    {
        metrics.Metric("cheops_http_connections", MetricKind.Gauge, "Open connections with clients.");
        foreach (var (service, counters) in all) metrics.Sample(counters.Connections, Of(service));
        metrics.Metric("cheops_http_connections_total", MetricKind.Counter, "Connections taken.");
        foreach (var (service, counters) in all) metrics.Sample(counters.ConnectionsTotal, Of(service));
        metrics.Metric("cheops_http_connections_refused_total", MetricKind.Counter, "Connections reset at once since there were too many.");
        foreach (var (service, counters) in all) metrics.Sample(counters.ConnectionsRefused, Of(service));
        metrics.Metric("cheops_tls_handshakes_failed_total", MetricKind.Counter, "Connections on which no TLS session came about.");
        foreach (var (service, counters) in all) metrics.Sample(counters.HandshakesFailed, Of(service));
        metrics.Metric("cheops_http_heads_late_total", MetricKind.Counter, "Connections ended with 408, since the head of a request did not arrive in time.");
        foreach (var (service, counters) in all) metrics.Sample(counters.HeadsLate, Of(service));
        metrics.Metric("cheops_http_stalled_total", MetricKind.Counter, "Connections cut because the client stalled.");
        foreach (var (service, counters) in all) metrics.Sample(counters.Stalled, Of(service));
        metrics.Metric("cheops_http_request_body_bytes_total", MetricKind.Counter, "Bytes of request bodies.");
        foreach (var (service, counters) in all) metrics.Sample(counters.BytesIn, Of(service));
        metrics.Metric("cheops_http_response_body_bytes_total", MetricKind.Counter, "Bytes of answers' bodies.");
        foreach (var (service, counters) in all) metrics.Sample(counters.BytesOut, Of(service));
    }

    private static MetricLabel Of(string service) => new("cheops_service", service);
}
