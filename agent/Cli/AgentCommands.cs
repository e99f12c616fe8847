using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Hosting;
using Cheops.Agent.Settings;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops agent</c>, <c>check</c> and <c>health</c>.</summary>
internal static partial class AgentCommands
{
    private const string SettingsHelp = """
        Settings are environment variables, checked whole before anything is bound. Required:
          CHEOPS_SITE=Site1
          CHEOPS_SERVICES=glance@127.0.1.1:19292=http://127.0.1.1:9292    (name@listen=instance, by commas)
        To link sites: CHEOPS_PEERS, CHEOPS_MESH_LISTEN, CHEOPS_MESH_CERT, _KEY, _CA. README.md lists them all.
        """;

    public static readonly Command Agent = new()
    {
        Name = "agent",
        Summary = "run this site's agent",
        Details = SettingsHelp + "\n" + """
            SIGTERM and SIGINT drain: nothing new is taken, what is under way finishes, exit code 0.
            SIGHUP reads certificates again, and settings from the file of --env-file.
            """,
        Options = [CommonOptions.EnvFile],
        Examples =
        [
            "cheops agent --env-file /etc/cheops/cheops.env",
            "CHEOPS_SITE=Site1 CHEOPS_SERVICES=shop@127.0.0.1:8080=http://127.0.0.1:8081 CHEOPS_DATA=/tmp/site1 cheops agent",
        ],
        Run = RunAgentAsync,
    };

    public static readonly Command Check = new()
    {
        Name = "check",
        Summary = "check the settings, with all mistakes at once",
        Details = SettingsHelp + "\nFiles, keys and programs that the settings name are looked at too. Nothing is bound or changed.",
        Options = [CommonOptions.EnvFile, CommonOptions.Output],
        Examples = ["cheops check --env-file /etc/cheops/cheops.env", "cheops check --output json"],
        Run = invocation => Task.FromResult(RunCheck(invocation)),
    };

    public static readonly Command Health = new()
    {
        Name = "health",
        Summary = "tell whether the agent takes requests",
        Details = "For health checks of containers and scripts: exit code 0 when it does, 1 when it does not, 3 when it is not reached.",
        Options = [CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops health", "cheops health --api 127.0.1.1:7070"],
        Run = RunHealthAsync,
    };

    private static async Task<int> RunAgentAsync(Invocation invocation)
    {
        if (invocation.Context.Compose is not { } compose) return invocation.Fail(ExitCode.Failed, "no agent can be run in this process");
        AgentProcess.PrepareSockets();
        if (SettingsLoader.Load(invocation, out var mistakes) is not { } settings) return FailAll(invocation, mistakes);
        var process = new AgentProcess(compose, invocation.Context.Time);
        return await process.RunAsync(settings, log => ReadAgain(invocation, log), invocation.Context.Environment, invocation.Error);
    }

    private static AgentSettings? ReadAgain(Invocation invocation, ILogger log)
    {
        var settings = SettingsLoader.Load(invocation, out var mistakes);
        foreach (var mistake in mistakes) NotReloaded(log, mistake);
        return settings;
    }

    [LoggerMessage(EventId = 10, EventName = "NotReloaded", Level = LogLevel.Error, Message = "the settings were not read again, the old ones hold: {Mistake}")]
    private static partial void NotReloaded(ILogger log, string mistake);

    internal static int FailAll(Invocation invocation, IReadOnlyCollection<string> mistakes)
    {
        foreach (var mistake in mistakes) invocation.Error.WriteLine(mistake);
        return invocation.Fail(ExitCode.Mistake, mistakes.Count == 1 ? "1 mistake in the settings" : $"{mistakes.Count} mistakes in the settings");
    }

    private static int RunCheck(Invocation invocation)
    {
        var settings = SettingsLoader.Load(invocation, out var mistakes);
        if (invocation.WantsJson)
        {
            var answer = ApiAnswer.Json(0, json =>
            {
                json.WriteBoolean("ok", settings is not null);
                json.WriteStartArray("mistakes");
                foreach (var mistake in mistakes) json.WriteStringValue(mistake);
                json.WriteEndArray();
            });
            invocation.Out.Write(System.Text.Encoding.UTF8.GetString(answer.Body.Span));
            return settings is null ? ExitCode.Mistake : ExitCode.Ok;
        }

        if (settings is null) return FailAll(invocation, mistakes);
        invocation.Out.Write(Summary(settings));
        return ExitCode.Ok;
    }

    private static string Summary(AgentSettings settings)
    {
        var rows = settings.Services.Select(service => new[]
        {
            service.Name, string.Join(", ", service.Listen) + (service.Tls is null ? "" : " (TLS)"), service.Upstream.ToString(),
        }).ToArray();
        var mesh = settings.Mesh;
        var links = mesh.Peers.IsEmpty ? "no other sites: no NATS server is needed"
            : $"{mesh.Peers.Length} other site{(mesh.Peers.Length == 1 ? "" : "s")}, {(mesh.NatsUrl is { } url ? $"over {url}" : mesh.Tls is null ? "in the clear, on loopback only" : "with mutual TLS")}";
        return $"site {settings.Site}: the settings are right\n{TextTable.Format(["SERVICE", "LISTEN", "INSTANCE"], rows)}{links}\n";
    }

    private static async Task<int> RunHealthAsync(Invocation invocation)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var reply = await client.GetAsync(AgentApi.ReadyPath);
        if (reply.Status == 200)
        {
            await invocation.Out.WriteLineAsync("ready");
            return ExitCode.Ok;
        }

        return invocation.Fail(ExitCode.Failed, $"not ready: {ReasonOf(reply)}");
    }

    internal static string ReasonOf(ApiReply reply)
    {
        try
        {
            using var document = JsonDocument.Parse(reply.Body);
            foreach (var name in new[] { "reason", "detail", "error" })
            {
                if (document.RootElement.TryGetProperty(name, out var text)) return text.ToString();
            }
        }
        catch (JsonException)
        {
            // Told by the status alone.
        }

        return $"the agent answered {reply.Status}";
    }
}
