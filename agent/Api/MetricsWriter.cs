using System.Buffers;
using System.Globalization;
using System.Text;

namespace Cheops.Agent.Api;

/// <summary>What a metric counts.</summary>
public enum MetricKind
{
    /// <summary>A number that only grows.</summary>
    Counter,
    /// <summary>A number that goes up and down.</summary>
    Gauge,
    /// <summary>How often something was within each of several bounds.</summary>
    Histogram,
}

/// <summary>One label of a sample.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value; any text.</param>
public readonly record struct MetricLabel(string Name, string Value);

/// <summary>
/// Writes metrics in Prometheus' text format 0.0.4. All samples of one metric stand together, under its help and kind,
/// as the format asks.
/// </summary>
public sealed class MetricsWriter
{
    /// <summary>The media type.</summary>
    public const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly ArrayBufferWriter<byte> _buffer = new(16 * 1024);
    private readonly HashSet<string> _names = [];
    private string _name = "";
    private MetricKind _kind;

    /// <summary>What was written.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    /// <summary>Begins a metric; its samples follow.</summary>
    /// <param name="name">Its name: letters, digits and <c>_</c>; a counter's ends in <c>_total</c>, a unit is spelt out.</param>
    /// <param name="kind">What it counts.</param>
    /// <param name="help">What it means, in one line.</param>
    /// <exception cref="InvalidOperationException">It was written before: a mistake in the program.</exception>
    public MetricsWriter Metric(string name, MetricKind kind, string help)
    {
        if (!_names.Add(name)) throw new InvalidOperationException($"The metric {name} is written twice.");
        (_name, _kind) = (name, kind);
        Append($"# HELP {name} {help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\n");
        Append($"# TYPE {name} {NameOf(kind)}\n");
        return this;
    }

    /// <summary>Writes one sample of a counter or gauge.</summary>
    public MetricsWriter Sample(double value, params ReadOnlySpan<MetricLabel> labels)
    {
        if (_kind == MetricKind.Histogram) throw new InvalidOperationException($"{_name} is a histogram.");
        Line(_name, labels, default, value);
        return this;
    }

    /// <summary>Writes one series of a histogram.</summary>
    /// <param name="bounds">The buckets' upper bounds, ascending, without infinity.</param>
    /// <param name="counts">How often in each bucket, not cumulative; one more than there are bounds.</param>
    /// <param name="sum">The sum of all observed.</param>
    /// <param name="labels">The series' labels.</param>
    public MetricsWriter Series(ReadOnlySpan<double> bounds, ReadOnlySpan<long> counts, double sum, params ReadOnlySpan<MetricLabel> labels)
    {
        if (_kind != MetricKind.Histogram || counts.Length != bounds.Length + 1) throw new InvalidOperationException($"{_name} is no such histogram.");
        long total = 0;
        for (var i = 0; i < counts.Length; i++)
        {
            total += counts[i];
            Line(_name + "_bucket", labels, new MetricLabel("le", i < bounds.Length ? Print(bounds[i]) : "+Inf"), total);
        }

        Line(_name + "_sum", labels, default, sum);
        Line(_name + "_count", labels, default, total);
        return this;
    }

    private static string NameOf(MetricKind kind) => kind switch
    {
        MetricKind.Counter => "counter",
        MetricKind.Gauge => "gauge",
        _ => "histogram",
    };

    private void Line(string name, ReadOnlySpan<MetricLabel> labels, MetricLabel last, double value)
    {
        Append(name);
        var separator = '{';
        foreach (var label in labels)
        {
            AppendLabel(separator, label);
            separator = ',';
        }

        if (last.Name is not null)
        {
            AppendLabel(separator, last);
            separator = ',';
        }

        Append(separator == ',' ? "} " : " ");
        Append(Print(value));
        Append("\n");
    }

    private void AppendLabel(char separator, MetricLabel label)
    {
        var value = label.Value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        Append($"{separator}{label.Name}=\"{value}\"");
    }

    private static string Print(double value) =>
        double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    private void Append(string text) => Encoding.UTF8.GetBytes(text, _buffer);
}
