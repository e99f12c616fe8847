using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Cheops.Tests.Unit.Api;

/// <summary>A strict reader of Prometheus' text format 0.0.4: whatever is not exactly as the format says fails the test.</summary>
internal sealed partial class MetricsText
{
    public Dictionary<string, string> Kinds { get; } = [];

    public Dictionary<string, double> Samples { get; } = [];

    public static MetricsText Read(ReadOnlyMemory<byte> bytes)
    {
        var text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.Span);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var result = new MetricsText();
        var current = "";
        foreach (var line in text[..^1].Split('\n'))
        {
            if (HelpLine().Match(line) is { Success: true } help)
            {
                current = help.Groups[1].Value;
                Assert.DoesNotContain(current, result.Kinds.Keys);
            }
            else if (TypeLine().Match(line) is { Success: true } type)
            {
                Assert.Equal(current, type.Groups[1].Value);
                Assert.True(result.Kinds.TryAdd(current, type.Groups[2].Value), line);
            }
            else
            {
                result.ReadSample(line, current);
            }
        }

        foreach (var (name, kind) in result.Kinds.Where(pair => pair.Value == "histogram")) result.CheckHistogram(name, kind);
        return result;
    }

    private void ReadSample(string line, string current)
    {
        var match = SampleLine().Match(line);
        Assert.True(match.Success, $"no sample: {line}");
        var name = match.Groups["name"].Value;
        var kind = Kinds[current];
        Assert.True(name == current || (kind == "histogram" && name[current.Length..] is "_bucket" or "_sum" or "_count"), $"{name} stands under {current}");
        if (kind == "counter") Assert.EndsWith("_total", name, StringComparison.Ordinal);
        var labels = LabelPair().Matches(match.Groups["labels"].Value).Select(one => one.Groups[1].Value).ToArray();
        Assert.Equal(labels.Length, labels.Distinct().Count());
        var text = match.Groups["value"].Value;
        var value = text == "+Inf" ? double.PositiveInfinity : text == "-Inf" ? double.NegativeInfinity : double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        Assert.True(Samples.TryAdd(name + match.Groups["labels"].Value, value), $"twice: {line}");
    }

    private void CheckHistogram(string name, string kind)
    {
        Assert.Equal("histogram", kind);
        foreach (var (key, count) in Samples.Where(pair => pair.Key.StartsWith(name + "_count", StringComparison.Ordinal)))
        {
            var labels = key[(name.Length + "_count".Length)..].Trim('{', '}');
            var prefix = name + "_bucket{" + (labels.Length > 0 ? labels + "," : "");
            var buckets = Samples.Where(pair => pair.Key.StartsWith(prefix + "le=", StringComparison.Ordinal)).Select(pair => pair.Value).ToArray();
            Assert.Equal(buckets.Order(), buckets);
            Assert.Equal(count, Samples[prefix + "le=\"+Inf\"}"]);
            Assert.Contains(key.Replace("_count", "_sum", StringComparison.Ordinal), Samples.Keys);
        }
    }

    [GeneratedRegex("^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\\\]|\\\\\\\\|\\\\n)+$")]
    private static partial Regex HelpLine();

    [GeneratedRegex("^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex("^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<labels>\\{[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\]|\\\\[\\\\\"n])*\"(?:,[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\\]|\\\\[\\\\\"n])*\")*\\})? (?<value>NaN|[+-]Inf|-?[0-9.]+(?:E[+-]?[0-9]+)?)$")]
    private static partial Regex SampleLine();

    [GeneratedRegex("([a-zA-Z_][a-zA-Z0-9_]*)=\"(?:[^\"\\\\]|\\\\[\\\\\"n])*\"")]
    private static partial Regex LabelPair();
}
