using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>Draws locations and plans as trees of text.</summary>
internal static class TreeText
{
    public static void Append(StringBuilder text, Location location, string indent) =>
        Append(text, location, indent, static node => LabelOf(node), static node => PartsOf(node));

    public static void Append(StringBuilder text, Plan plan, string indent) =>
        Append(text, plan, indent, static node => LabelOf(node), static node => PartsOf(node));

    public static ImmutableArray<Location> PartsOf(Location? location) => location switch
    {
        FirstLocation first => first.Alternatives,
        AllLocation all => all.Replicas,
        SpreadLocation spread => spread.Parts,
        _ => [],
    };

    public static ImmutableArray<Plan> PartsOf(Plan plan) => plan switch
    {
        FirstPlan first => first.Alternatives,
        AllPlan all => all.Replicas,
        SpreadPlan spread => spread.Parts,
        _ => [],
    };

    private static void Append<T>(StringBuilder text, T node, string indent, Func<T, string> label, Func<T, ImmutableArray<T>> parts)
    {
        text.Append(indent).Append("└─ ").Append(label(node)).Append('\n');
        AppendParts(text, node, indent + "   ", label, parts);
    }

    private static void AppendParts<T>(StringBuilder text, T node, string indent, Func<T, string> label, Func<T, ImmutableArray<T>> parts)
    {
        var inner = parts(node);
        for (var i = 0; i < inner.Length; i++)
        {
            var last = i == inner.Length - 1;
            text.Append(indent).Append(last ? "└─ " : "├─ ").Append(label(inner[i])).Append('\n');
            AppendParts(text, inner[i], indent + (last ? "   " : "│  "), label, parts);
        }
    }

    private static string LabelOf(Location location) => location switch
    {
        FirstLocation => "; the first that works",
        AllLocation all => $"{ScopePrinter.PrintOperator(all.Operator)} {MeaningOf(all.Operator)}",
        SpreadLocation => "% spread over",
        _ => location.ToString(),
    };

    private static string LabelOf(Plan plan) => plan switch
    {
        SitePlan { IsLocal: true } site => $"{site.Site} (here)",
        FirstPlan => "first of",
        AllPlan all => $"{MeaningOf(all.Operator)} {ScopePrinter.PrintOperator(all.Operator)}",
        SpreadPlan => "spread over",
        _ => plan.ToString(),
    };

    private static string MeaningOf(ReplicationOperator replication) => replication switch
    {
        ReplicationOperator.Eventual => "replicate",
        ReplicationOperator.Strong => "replicate, strong",
        _ => "replicate, mergeable",
    };
}

/// <summary>Writes locations as JSON, in the shape of <see cref="Plan.WriteTo"/>.</summary>
internal static class TreeJson
{
    public static void Write(Utf8JsonWriter json, Location location)
    {
        json.WriteStartObject();
        switch (location)
        {
            case AroundLocation around:
                json.WriteString("around", around.Center.Name);
                json.WriteNumber("withinMs", around.Within.TotalMilliseconds);
                break;
            case SiteLocation site:
                json.WriteString("site", site.Name);
                break;
            case FirstLocation:
                WriteParts(json, "first", location);
                break;
            case AllLocation all:
                WriteParts(json, "all", location);
                json.WriteString("operator", ScopePrinter.PrintOperator(all.Operator));
                break;
            case SpreadLocation:
                WriteParts(json, "spread", location);
                break;
        }

        json.WriteEndObject();
    }

    private static void WriteParts(Utf8JsonWriter json, string name, Location location)
    {
        json.WriteStartArray(name);
        foreach (var part in TreeText.PartsOf(location))
            Write(json, part);
        json.WriteEndArray();
    }
}
