using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Cheops.Agent.Mesh;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>What <c>cheops scope explain</c> prints: a scope's tree, and the plan as this site would carry it out now.</summary>
/// <param name="IsPlanned">Whether the scope is well-formed and can be planned.</param>
/// <param name="Text">For people: tree, plan, latencies used with their age, notes. Ends with a line feed.</param>
/// <param name="Json">The same for programs: one JSON object.</param>
public sealed record ScopeExplanation(bool IsPlanned, string Text, string Json)
{
    private static readonly JsonWriterOptions JsonOptions = new()
    {
        Indented = true,
        MaxDepth = Bounds.ScopeLengthMax,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Explains a scope.</summary>
    /// <param name="text">The scope as the user wrote it.</param>
    /// <param name="service">The service a client would address.</param>
    /// <param name="planner">The planner of this site.</param>
    /// <param name="sites">What is known of the sites.</param>
    /// <param name="now">The time from which ages count.</param>
    public static ScopeExplanation Explain(
        string text, string service, Planner planner, ImmutableArray<SiteStatus> sites, DateTimeOffset now)
    {
        if (!ScopeParser.TryParse(text, out var scope, out var error))
            return Mistaken(text, error);
        var request = new PlanRequest { Service = service, Scope = scope, Origin = RequestOrigin.Client };
        var result = planner.Plan(request, sites);
        var notes = result.Asked is { } asked && PlanOperators.NotBuilt(asked, mayReplicate: true) is { Length: > 0 } operators
            ? result.Notes.Add($"this version does not carry out '{operators}' here: such a request is answered with 501")
            : result.Notes;
        var measured = result.Plan is null ? [] : MeasurementsOf(result.Plan, scope.LocationOf(service), planner.Site, sites, now);
        return new ScopeExplanation(
            result.IsPlanned,
            TextOf(scope, service, planner.Site, result, measured, notes),
            JsonOf(scope, service, planner.Site, result, measured, notes));
    }

    private readonly record struct Measurement(string From, string To, TimeSpan RoundTrip, TimeSpan? Age, SiteState State);

    private static ScopeExplanation Mistaken(string text, ScopeError error)
    {
        var json = WriteObject(writer =>
        {
            writer.WriteString("error", error.Message);
            writer.WriteString("kind", error.Kind.ToString());
            writer.WriteNumber("column", error.ColumnFromOne);
            writer.WriteString("found", error.Found);
            writer.WriteString("expected", error.Expected);
        });
        return new ScopeExplanation(false, $"{error.Message}\n  {error.Caret(text).Replace("\n", "\n  ", StringComparison.Ordinal)}\n", json);
    }

    private static string TextOf(Scope scope, string service, string here, PlanResult result, List<Measurement> measured, ImmutableArray<string> notes)
    {
        var text = new StringBuilder();
        text.Append("scope    ").Append(scope).Append('\n');
        text.Append("request  to ").Append(service).Append(" at ").Append(here).Append('\n');
        text.Append("tree\n");
        foreach (var binding in scope.Bindings)
        {
            var name = binding.Service switch { Binding.Addressed => service, Binding.AnyOther => "* (every other service)", var other => other };
            text.Append("  ").Append(name).Append('\n');
            TreeText.Append(text, binding.Location, "  ");
        }

        if (result.IsPlanned)
        {
            text.Append("plan\n");
            TreeText.Append(text, result.Plan, "  ");
        }
        else
        {
            text.Append("refused  ").Append(CultureInfo.InvariantCulture, $"{result.Refusal.Status} {result.Refusal.Detail}\n");
        }

        foreach (var (from, to, roundTrip, age, state) in measured)
        {
            text.Append("latency  ").Append(from).Append(" - ").Append(to).Append(": ").Append(ScopePrinter.PrintDuration(Round(roundTrip)))
                .Append(age is { } known ? string.Create(CultureInfo.InvariantCulture, $", measured {known.TotalSeconds:0.0} s ago") : "")
                .Append(state == SiteState.Up ? "" : $" ({to} is {state.ToString().ToLowerInvariant()})").Append('\n');
        }

        foreach (var note in notes)
            text.Append("note     ").Append(note).Append('\n');
        return text.ToString();
    }

    private static string JsonOf(Scope scope, string service, string here, PlanResult result, List<Measurement> measured, ImmutableArray<string> notes) => WriteObject(writer =>
    {
        writer.WriteString("scope", scope.ToString());
        writer.WriteString("service", service);
        writer.WriteString("site", here);
        writer.WriteStartObject("tree");
        foreach (var binding in scope.Bindings)
        {
            writer.WritePropertyName(binding.Service.Length == 0 ? service : binding.Service);
            TreeJson.Write(writer, binding.Location);
        }

        writer.WriteEndObject();
        writer.WritePropertyName("plan");
        if (result.IsPlanned)
            result.Plan.WriteTo(writer);
        else
            writer.WriteNullValue();
        if (!result.IsPlanned)
        {
            writer.WriteStartObject("refusal");
            writer.WriteString("kind", result.Refusal.Kind.ToString());
            writer.WriteNumber("status", result.Refusal.Status);
            writer.WriteString("detail", result.Refusal.Detail);
            writer.WriteEndObject();
        }

        WriteMeasurements(writer, measured);
        writer.WriteStartArray("notes");
        foreach (var note in notes)
            writer.WriteStringValue(note);
        writer.WriteEndArray();
    });

    private static void WriteMeasurements(Utf8JsonWriter writer, List<Measurement> measured)
    {
        writer.WriteStartArray("latencies");
        foreach (var (from, to, roundTrip, age, state) in measured)
        {
            writer.WriteStartObject();
            writer.WriteString("from", from);
            writer.WriteString("to", to);
            writer.WriteNumber("roundTripMs", roundTrip.TotalMilliseconds);
            if (age is { } known)
                writer.WriteNumber("ageSeconds", Math.Round(known.TotalSeconds, 3));
            writer.WriteString("state", state.ToString().ToLowerInvariant());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    // Round-trip times from here to every site of the plan, and those that decided an around() elsewhere.
    private static List<Measurement> MeasurementsOf(
        Plan plan, Location? location, string here, ImmutableArray<SiteStatus> sites, DateTimeOffset now)
    {
        var planned = new HashSet<string>();
        CollectSites(plan, planned);
        var measured = new List<Measurement>();
        foreach (var site in sites)
        {
            if (planned.Contains(site.Name) && site.Name != here && site.RoundTrip is { } roundTrip)
                measured.Add(new Measurement(here, site.Name, roundTrip, site.RoundTripAt is { } at ? now - at : null, site.State));
        }

        var centers = new HashSet<string>();
        CollectCenters(location, centers);
        foreach (var center in sites.Where(site => site.Name != here && centers.Contains(site.Name)))
        {
            var age = center.HeardAt is { } heard ? now - heard : (TimeSpan?)null;
            foreach (var (to, roundTrip) in center.RoundTripsFromThere.OrderBy(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal))
            {
                if (planned.Contains(to))
                    measured.Add(new Measurement(center.Name, to, roundTrip, age, SiteState.Up));
            }
        }

        return measured;
    }

    private static void CollectSites(Plan plan, HashSet<string> sites)
    {
        if (plan is SitePlan site)
            sites.Add(site.Site);
        foreach (var inner in TreeText.PartsOf(plan))
            CollectSites(inner, sites);
    }

    private static void CollectCenters(Location? location, HashSet<string> centers)
    {
        if (location is AroundLocation around)
            centers.Add(around.Center.Name);
        foreach (var inner in TreeText.PartsOf(location))
            CollectCenters(inner, centers);
    }

    private static TimeSpan Round(TimeSpan roundTrip) => TimeSpan.FromTicks(roundTrip.Ticks / 100 * 100);

    private static string WriteObject(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }
}
