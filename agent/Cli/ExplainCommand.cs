using System.Collections.Immutable;
using Cheops.Agent.Api;
using Cheops.Agent.Hosting;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops scope explain</c>.</summary>
internal static class ExplainCommand
{
    private static readonly Option Service = new("--service", "SERVICE", "the service that a client would address (default: the only service of this site)") { Short = "-s" };

    private static readonly Option Offline = new("--offline", "", "explain from the settings alone, without latencies; no agent is asked");

    public static readonly Command Command = new()
    {
        Name = "scope explain",
        Summary = "print a scope's tree, and the plan as this site would carry it out now",
        Details = """
            The agent of this site is asked, so that the plan rests on what it knows now: sites, services and latencies.
            A scope with a mistake, or that cannot be planned, is explained too; the exit code is then 2.
            """,
        Positionals = [new("SCOPE", "a scope, such as '{glance: Site2}' or 'around(here, 10ms)'")],
        Options = [Service, Offline, CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples =
        [
            "cheops scope explain '{glance: Site2, nova: Site1}' --service nova",
            "cheops scope explain 'around(here, 10ms) ; Site3' -s glance --output json",
            "cheops scope explain 'Site1 & Site2' -s glance --offline --env-file /etc/cheops/cheops.env",
        ],
        Run = RunAsync,
    };

    private static async Task<int> RunAsync(Invocation invocation)
    {
        var scope = invocation.Positionals[0];
        if (ServiceOf(invocation, out var mistake) is not { } service) return invocation.Fail(ExitCode.Mistake, mistake);
        if (invocation.Has(Offline)) return RunOffline(invocation, scope, service);
        if (ApiClient.From(invocation, out mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var query = $"?scope={Uri.EscapeDataString(scope)}&service={Uri.EscapeDataString(service)}{(invocation.WantsJson ? "" : "&format=text")}";
        var reply = await client.GetAsync(AgentApi.ExplainPath + query);
        if (reply.Status is not (200 or 422)) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        await invocation.Out.WriteAsync(reply.Body);
        return reply.Status == 200 ? ExitCode.Ok : ExitCode.Mistake;
    }

    private static string? ServiceOf(Invocation invocation, out string mistake)
    {
        mistake = "";
        if (invocation.Value(Service) is { } given) return given;
        if (SettingsLoader.Variables(invocation, out mistake) is not { } variables) return null;
        if (SettingsReader.TryRead(variables, out var settings, out _) && settings.Services.Length == 1) return settings.Services[0].Name;
        mistake = "say --service SERVICE: a scope is explained for the service that a client addresses";
        return null;
    }

    private static int RunOffline(Invocation invocation, string scope, string service)
    {
        if (SettingsLoader.Variables(invocation, out var mistake) is not { } variables) return invocation.Fail(ExitCode.Mistake, mistake);
        if (!SettingsReader.TryRead(variables, out var settings, out var mistakes))
            return invocation.Fail(ExitCode.Mistake, string.Join("; ", mistakes));
        var profiles = ProfileLoader.Load(settings.Profiles, out mistakes);
        if (!mistakes.IsEmpty) return invocation.Fail(ExitCode.Mistake, string.Join("; ", mistakes));
        var planner = new Planner(settings.Site, settings.Services.Select(one => one.Name).Concat(profiles.ServiceNames), EmptyReplicantIndex.Instance);
        var explained = ScopeExplanation.Explain(scope, service, planner, SitesOf(settings), invocation.Context.Time.GetUtcNow());
        invocation.Out.Write(invocation.WantsJson ? explained.Json + "\n" : explained.Text);
        return explained.IsPlanned ? ExitCode.Ok : ExitCode.Mistake;
    }

    private static ImmutableArray<SiteStatus> SitesOf(AgentSettings settings) =>
    [
        new SiteStatus
        {
            Name = settings.Site,
            IsSelf = true,
            State = SiteState.Up,
            Services = settings.Services.ToImmutableDictionary(one => one.Name, _ => ""),
        },
        .. settings.Mesh.Peers.Select(peer => new SiteStatus { Name = peer.Site, State = SiteState.Unknown }),
    ];
}
