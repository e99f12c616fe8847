using Cheops.Agent.Api;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Mesh.Nats;
using Cheops.Agent.Workflows;
using Cheops.Store.Bodies;

namespace Cheops.Agent.Hosting;

/// <summary>Metrics of the parts that are the agent's own: pools, streams over links, workflows, kept bodies.</summary>
internal static class AgentMetrics
{
    public static void Write(
        MetricsWriter metrics, IEnumerable<LocalService> services, NatsMesh mesh, WorkflowTable workflows, FileBodyStore bodies)
    {
        LocalService[] all = [.. services.OrderBy(service => service.Name, StringComparer.Ordinal)];
        Of("cheops_upstream_connections_opened_total", MetricKind.Counter, "Connections made to the service instance.", service => service.Pool.Opened);
        Of("cheops_upstream_connections_reused_total", MetricKind.Counter, "Requests that found a connection waiting.", service => service.Pool.Reused);
        Of("cheops_upstream_connections_failed_total", MetricKind.Counter, "Connections that could not be made.", service => service.Pool.Failed);
        Of("cheops_upstream_retries_total", MetricKind.Counter, "Requests sent once more since a used connection had been closed.", service => service.Pool.Retried);
        Of("cheops_upstream_connections_idle", MetricKind.Gauge, "Connections that wait for a request.", service => service.Pool.Idle);

        metrics.Metric("cheops_link_streams", MetricKind.Gauge, "Streams open on the link.");
        var links = mesh.Node.Traffic.ToArray();
        foreach (var link in links) metrics.Sample(link.Streams, Peer(link.Site));
        metrics.Metric("cheops_link_bulk_sent_bytes_total", MetricKind.Counter, "Bytes sent on the bulk link.");
        foreach (var link in links) metrics.Sample(link.BulkSent, Peer(link.Site));
        metrics.Metric("cheops_link_bulk_received_bytes_total", MetricKind.Counter, "Bytes received on the bulk link.");
        foreach (var link in links) metrics.Sample(link.BulkReceived, Peer(link.Site));
        metrics.Metric("cheops_link_bulk_window_bytes", MetricKind.Gauge, "Bytes that may be in flight on the bulk link.");
        foreach (var link in links) metrics.Sample(link.BulkWindow, Peer(link.Site));
        metrics.Metric("cheops_nats_server_starts_total", MetricKind.Counter, "Starts of the agent's nats-server.").Sample(mesh.ServerStarts);

        metrics.Metric("cheops_workflows", MetricKind.Gauge, "Workflows remembered.").Sample(workflows.Count);
        metrics.Metric("cheops_workflows_begun_total", MetricKind.Counter, "Workflows begun or taken up.").Sample(workflows.BegunCount);
        metrics.Metric("cheops_workflows_evicted_total", MetricKind.Counter, "Workflows forgotten early since the table was full.").Sample(workflows.EvictedCount);
        metrics.Metric("cheops_kept_bodies_spilled_bytes", MetricKind.Gauge, "Bytes of kept bodies on disk.").Sample(bodies.SpilledBytes);

        void Of(string name, MetricKind kind, string help, Func<LocalService, long> value)
        {
            metrics.Metric(name, kind, help);
            foreach (var service in all) metrics.Sample(value(service), new MetricLabel("cheops_service", service.Name));
        }

        static MetricLabel Peer(string site) => new("cheops_peer", site);
    }
}
