using System.Collections.Immutable;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Api;

/// <summary>Metrics of the links to other sites, from what the mesh knows of them.</summary>
internal static class SiteMetrics
{
    public static void Write(MetricsWriter metrics, ImmutableArray<SiteStatus> sites, DateTimeOffset now, TimeSpan silentAfter)
    {
        var others = sites.Where(site => !site.IsSelf).ToArray();
        metrics.Metric("cheops_link_up", MetricKind.Gauge, "Whether the site at the other end of the link is up: heard from recently, taking requests.");
        foreach (var site in others) metrics.Sample(AgentApi.StateOf(site, now, silentAfter) == "up" ? 1 : 0, new MetricLabel("cheops_peer", site.Name));
        metrics.Metric("cheops_link_heard_seconds", MetricKind.Gauge, "Seconds since the site was last heard from; none when it never was.");
        foreach (var site in others.Where(site => site.HeardAt is not null))
            metrics.Sample(Math.Max(0, (now - site.HeardAt!.Value).TotalSeconds), new MetricLabel("cheops_peer", site.Name));
        metrics.Metric("cheops_link_round_trip_seconds", MetricKind.Gauge, "Smoothed round-trip time of the link, as last measured.");
        foreach (var site in others.Where(site => site.RoundTrip is not null))
            metrics.Sample(site.RoundTrip!.Value.TotalSeconds, new MetricLabel("cheops_peer", site.Name));
    }
}
