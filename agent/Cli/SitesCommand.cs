using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Api;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops sites</c>: what the agent knows of the sites, every figure with its age.</summary>
internal static class SitesCommand
{
    public static readonly Command Command = new()
    {
        Name = "sites",
        Summary = "list the sites: who is there, how far, heard from when",
        Details = """
            States: up; draining; down (not heard from within the bound); silent (was up, and the last word is too old to
            count); unknown (never heard from); incompatible (speaks a newer protocol).
            """,
        Options = [CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops sites", "cheops sites --api 127.0.1.1:7070", "cheops sites -o json | jq '.sites[] | select(.state != \"up\")'"],
        Run = RunAsync,
    };

    private static async Task<int> RunAsync(Invocation invocation)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var reply = await client.GetAsync(AgentApi.SitesPath);
        if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        await invocation.Out.WriteAsync(invocation.WantsJson ? reply.Body : Table(reply.Body));
        return ExitCode.Ok;
    }

    internal static string Table(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var rows = document.RootElement.GetProperty("sites").EnumerateArray().Select(Row).ToArray();
            return TextTable.Format(["SITE", "STATE", "ROUND TRIP", "HEARD", "SERVICES", "AGENT", "REASON"], rows);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ApiUnreachableException("what answers is no agent: it lists no sites", e);
        }
    }

    private static string[] Row(JsonElement site)
    {
        var isSelf = site.GetProperty("self").GetBoolean();
        var services = site.GetProperty("services").EnumerateObject()
            .Select(one => one.Value.GetString() is { Length: > 0 } version ? $"{one.Name} {version}" : one.Name);
        return
        [
            site.GetProperty("name").GetString()!,
            site.GetProperty("state").GetString()!,
            Number(site, "roundTripMs") is { } ms ? string.Create(CultureInfo.InvariantCulture, $"{ms:0.0##} ms ({Age(Number(site, "roundTripSecondsAgo"))})") : "-",
            isSelf ? "this site" : Age(Number(site, "heardSecondsAgo")),
            string.Join(", ", services) is { Length: > 0 } list ? list : "-",
            Text(site, "agentVersion"),
            Text(site, "reason"),
        ];
    }

    private static double? Number(JsonElement site, string name) =>
        site.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;

    private static string Text(JsonElement site, string name) => site.TryGetProperty(name, out var value) ? value.GetString() ?? "-" : "-";

    private static string Age(double? seconds) => seconds switch
    {
        null => "never",
        < 120 => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s ago"),
        < 7200 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0} min ago"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:0} h ago"),
    };
}
