using System.Text.Json;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Api;

/// <summary>One site as JSON, every figure with its age.</summary>
internal static class SiteJson
{
    public static void Write(Utf8JsonWriter json, SiteStatus site, DateTimeOffset now, TimeSpan silentAfter)
    {
        json.WriteStartObject();
        json.WriteString("name", site.Name);
        json.WriteBoolean("self", site.IsSelf);
        json.WriteString("state", AgentApi.StateOf(site, now, silentAfter));
        if (site.Reason.Length > 0) json.WriteString("reason", site.Reason);
        if (!site.IsSelf) WriteAge(json, "heardSecondsAgo", site.HeardAt, now);
        if (site.RoundTrip is { } roundTrip && !site.IsSelf)
        {
            json.WriteNumber("roundTripMs", Math.Round(roundTrip.TotalMilliseconds, 3));
            WriteAge(json, "roundTripSecondsAgo", site.RoundTripAt, now);
        }

        json.WriteStartObject("services");
        foreach (var (service, version) in site.Services.OrderBy(pair => pair.Key, StringComparer.Ordinal)) json.WriteString(service, version);
        json.WriteEndObject();
        if (site.AgentVersion.Length > 0) json.WriteString("agentVersion", site.AgentVersion);
        json.WriteEndObject();
    }

    private static void WriteAge(Utf8JsonWriter json, string name, DateTimeOffset? at, DateTimeOffset now)
    {
        if (at is { } known) json.WriteNumber(name, Math.Round(Math.Max(0, (now - known).TotalSeconds), 3));
        else json.WriteNull(name);
    }
}
