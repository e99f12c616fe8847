using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Resolves, once everything is healed, what only a person can: looks at the site where an operation is in doubt, takes back
/// what it did there, and has it tried again; or says what became of it, where it would be refused a second time.
/// </summary>
internal static class Person
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>Begins.</summary>
    public static void BeginAt(World world, IReadOnlyCollection<Site> sites) => world.Watch("the person", RunAsync(world, sites));

    private static async Task RunAsync(World world, IReadOnlyCollection<Site> sites)
    {
        while (true)
        {
            await Task.Delay(Pause, world.Clock);
            foreach (var site in sites.Where(site => site.Replicator is not null))
            {
                foreach (var (runner, state) in InDoubtAt(site)) await ResolveAsync(world, site, runner, state);
            }
        }
    }

    private static (Agent.Replication.GroupRunner Runner, OperationState State)[] InDoubtAt(Site site) =>
    [
        .. site.Replicator!.Groups.SelectMany(runner =>
            runner.Look(state => state.Open.Where(one => one.StepAt(site.Name) == SiteStep.InDoubt).ToArray()).Select(state => (runner, state))),
    ];

    private static async Task ResolveAsync(World world, Site site, Agent.Replication.GroupRunner runner, OperationState state)
    {
        var operation = await site.Begin(_ => runner.ReadAsync(state).AsTask());
        if (GroupLogs.NameOf(operation) is not { } name)
        {
            if (operation.Method == "POST") site.Service.UndoCopy(KeyIn(operation));
            await RetryAsync(world, site, state, $"what a move asks for ({operation.Method} {operation.Target})");
            return;
        }

        var done = world.History.Applied.Any(one => one.Site == site.Name && one.Operation == name);
        if (operation.Target.EndsWith("/file", StringComparison.Ordinal))
        {
            // Tried again, it would be refused wherever it stands.
            if (done && state.IsRefused) site.Service.Undo(name);
            var (how, why) = state.IsRefused ? ("skip", "it was refused") : done ? ("done", "it was carried out") : site.Service.HasFile(KeyOf(operation)) ? ("skip", "there is another one") : ("retry", "it was not carried out");
            await ResolveAsync(world, site, state, how, $"{name} in doubt ({why})");
            return;
        }

        if (done && operation.Method is "POST" or "PATCH") site.Service.Undo(name);
        await RetryAsync(world, site, state, $"{name} in doubt ({(done ? "it was carried out, and is taken back" : "it was not carried out")})");
    }

    private static Task RetryAsync(World world, Site site, OperationState state, string what) => ResolveAsync(world, site, state, "retry", what);

    private static async Task ResolveAsync(World world, Site site, OperationState state, string how, string what)
    {
        var answer = await site.AskApiAsync(new ApiRequest(
            HttpMethod.Post, $"/_cheops/v1/operations/{state.Id}/{how}", ImmutableDictionary<string, string>.Empty, MayChange: true));
        world.Tell(site.Name, null, $"a person finds {what} and says {how}: {answer?.Status}");
    }

    private static string KeyOf(Operation operation) =>
        Encoding.Latin1.GetString(operation.Fields.Span).Split("\r\n").First(line => line.StartsWith("X-Thing: ", StringComparison.OrdinalIgnoreCase))["X-Thing: ".Length..];

    private static string KeyIn(Operation copy)
    {
        using var body = JsonDocument.Parse(copy.Body);
        return body.RootElement.GetProperty("key").GetString()!;
    }
}
