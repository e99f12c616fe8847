using System.Globalization;

namespace Cheops.Agent.Api;

/// <summary>What the process takes of the machine, under the names that Prometheus' clients use.</summary>
public static class ProcessMetrics
{
    /// <summary>Writes them.</summary>
    /// <param name="metrics">Where.</param>
    /// <param name="version">The agent's version.</param>
    /// <param name="site">The agent's site.</param>
    /// <param name="started">When the process started.</param>
    public static void Write(MetricsWriter metrics, string version, string site, DateTimeOffset started)
    {
        var cpu = Environment.CpuUsage;
        metrics.Metric("process_cpu_seconds_total", MetricKind.Counter, "CPU time of the process, user and system.").Sample(cpu.TotalTime.TotalSeconds);
        metrics.Metric("process_resident_memory_bytes", MetricKind.Gauge, "Memory of the process that is in RAM.").Sample(Environment.WorkingSet);
        metrics.Metric("process_start_time_seconds", MetricKind.Gauge, "When the process started, in seconds since 1970.").Sample(started.ToUnixTimeMilliseconds() / 1000.0);
        if (OpenFiles() is { } open) metrics.Metric("process_open_fds", MetricKind.Gauge, "Open file descriptors.").Sample(open);
        metrics.Metric("dotnet_gc_collections_total", MetricKind.Counter, "Garbage collections by generation.");
        for (var generation = 0; generation <= GC.MaxGeneration; generation++)
            metrics.Sample(GC.CollectionCount(generation), new MetricLabel("gc_heap_generation", generation.ToString(CultureInfo.InvariantCulture)));
        metrics.Metric("dotnet_gc_heap_total_allocated_bytes_total", MetricKind.Counter, "Bytes allocated on the managed heap.").Sample(GC.GetTotalAllocatedBytes());
        metrics.Metric("cheops_build_info", MetricKind.Gauge, "Always 1; its labels tell which agent this is.")
            .Sample(1, new MetricLabel("version", version), new MetricLabel("cheops_site", site));
    }

    private static int? OpenFiles()
    {
        try
        {
            return Directory.GetFileSystemEntries("/proc/self/fd").Length;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // No /proc, as in some containers: the metric is left out.
            return null;
        }
    }
}
