using Cheops.Agent.Api;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Planning;
using Cheops.Agent.Replication;

namespace Cheops.Agent.Hosting;

/// <summary>Metrics of plans, and of requests sent to instances here and at other sites, under OpenTelemetry's name for HTTP clients.</summary>
internal static class CollaborationMetrics
{
    public static void Write(MetricsWriter metrics, CollaborationCounters counters, Elsewhere? elsewhere)
    {
        metrics.Metric("cheops_elsewhere_paths_total", MetricKind.Counter, "Paths that the instance here answered with 404 and that may name a replicant of other sites: these were asked, or left alone since too much was asked.");
        metrics.Sample(elsewhere?.AsksMade ?? 0, new MetricLabel("asked", "yes"));
        metrics.Sample(elsewhere?.AsksLeft ?? 0, new MetricLabel("asked", "no"));

        metrics.Metric("cheops_plans_total", MetricKind.Counter, "Plans of clients' requests, by what became of them.");
        foreach (var fate in Enum.GetValues<PlanFate>()) metrics.Sample(counters.Plans(fate), new MetricLabel("fate", NameOf(fate)));

        var sendings = counters.All.ToArray();
        metrics.Metric("http_client_request_duration_seconds", MetricKind.Histogram, "Time until the head of an answer, from the instance here (no peer) or another site.");
        foreach (var (service, peer, sending) in sendings)
            InterceptionMetrics.Durations(metrics, sending.Durations, new MetricLabel("cheops_service", service), new MetricLabel("cheops_peer", peer));

        metrics.Metric("cheops_attempts_total", MetricKind.Counter, "Requests sent to a place, by what came of it: answered by the application, surely not reached, or lost.");
        foreach (var (service, peer, sending) in sendings)
        {
            foreach (var kind in Enum.GetValues<AttemptKind>())
                metrics.Sample(sending.Outcomes(kind), new MetricLabel("cheops_service", service), new MetricLabel("cheops_peer", peer), new MetricLabel("outcome", NameOf(kind)));
        }
    }

    private static string NameOf(PlanFate fate) => fate switch
    {
        PlanFate.Here => "here",
        PlanFate.There => "there",
        PlanFate.First => "first",
        PlanFate.Replicated => "replicated",
        PlanFate.Refused => "refused",
        _ => "not_built",
    };

    private static string NameOf(AttemptKind kind) => kind switch
    {
        AttemptKind.Answered => "answered",
        AttemptKind.NotReached => "not_reached",
        _ => "lost",
    };
}
