using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Api;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// The people who change where things have replicas, and remove a site that is gone for good, by the agents' API. One of them at a
/// time is concerned with a thing; what fails is tried again a few times.
/// </summary>
internal sealed class Operators(World world, IReadOnlyCollection<Site> sites)
{
    private const int AttemptsMax = 5;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    // Longer than what is under way to other sites when its sender ends.
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(15);

    private readonly HashSet<string> _busyWith = new(StringComparer.Ordinal);

    // Where a replica stays of what is a site's own from then on.
    private readonly HashSet<(string Thing, string Site)> _kept = [];
    private Life? _life;

    /// <summary>Begins what a step asks for.</summary>
    public void Begin(ChangeSites step) => Begin($"the change of the sites of {step.Thing}", () => ChangeAsync(step));

    /// <summary>A site that is gone for good is removed from the mesh, wherever that is not known.</summary>
    public void Remove(string gone) => Begin($"the removal of {gone}", () => RemoveAsync(gone));

    // Only in worlds that have any: the numbers of lives are part of a seed's run.
    private void Begin(string what, Func<Task> begin) => (_life ??= world.NewLife("operators")).Run(() => world.Watch(what, begin()));

    private async Task ChangeAsync(ChangeSites step)
    {
        if (!_busyWith.Add(step.Thing)) return;
        try
        {
            for (var attempt = 0; attempt < AttemptsMax && !await TryChangeAsync(step); attempt++) await Task.Delay(Pause, world.Clock);
        }
        finally
        {
            _busyWith.Remove(step.Thing);
        }
    }

    // Whether there is nothing left to try.
    private async Task<bool> TryChangeAsync(ChangeSites step)
    {
        var (thing, other) = (step.Thing, step.Other);
        if (world.PathOf(thing) is not { } path || world.Places.Lost.Contains(other)) return true;

        // Where it is not to be tried what becomes of what names the sites of before. A replica that stays, of a thing that is deleted then, takes
        // a change that names its site, and the other sites' services refuse it: rightly told as failed, and nothing that comes to rest.
        if ((!Changes.NameFormerSites(world.Scenario.Seed) || !step.DeletesReplica) && world.AreSitesNamed(thing)) return false;
        if (SiteToAsk(step) is not { } site || await ListedAsync(site, path) is not { } now) return false;
        var isAdded = !now.Contains(other);
        if (isAdded && world.SiteNamed(other).Service.Of(thing).Any()) return true;

        // Nor while what is to stay there is still to be made: it would stand beside the replica.
        if (isAdded && _kept.Contains((thing, other)) && !world.History.Applied.Any(one => one.Site == other && one.Replicant == thing)) return false;
        if (!isAdded && !now.Intersect(world.Places.SurelyAt(thing)).Any(one => one != other)) return true;
        if (!isAdded && !step.DeletesReplica) _kept.Add((thing, other));
        world.Places.OnChanging(thing, other, isAdded);
        world.Tell(site.Name, thing, $"a person {(isAdded ? $"adds {other} to" : $"removes {other} from")} the sites of {thing}{(isAdded ? "" : step.DeletesReplica ? ", whose replica is to be deleted" : ", whose replica stays")}");
        var query = ImmutableDictionary<string, string>.Empty.Add(isAdded ? "add" : "remove", other).Add("replica", step.DeletesReplica && !isAdded ? "delete" : "keep");
        var answer = await AskAsync(site, new ApiRequest(HttpMethod.Post, $"/_cheops/v1/replicants/{Uri.EscapeDataString(path)}/sites", query, MayChange: true));
        world.Tell(site.Name, thing, $"the person who {(isAdded ? "adds" : "removes")} {other} is told {answer?.Status.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "nothing"}");
        if (answer is not { Status: 200 }) return answer is { Status: 202 };
        using var told = JsonDocument.Parse(answer.Body);
        world.Places.OnMoved(thing, [.. told.RootElement.GetProperty("sites").EnumerateArray().Select(one => one.GetString()!)]);
        return true;
    }

    private Site? SiteToAsk(ChangeSites step)
    {
        var mayLeave = Changes.NameFormerSites(world.Scenario.Seed) || !world.Scenario.Steps.Any(one => one is LoseSite);
        var able = world.Places.SurelyAt(step.Thing).Where(name => world.SiteNamed(name).IsUp && (mayLeave || name != step.Other)).ToArray();
        return able.Length == 0 ? null : world.SiteNamed(able.Contains(step.Site) ? step.Site : able[0]);
    }

    // The sites of a thing as they are listed there; null when it is not, or is moving.
    private async Task<string[]?> ListedAsync(Site site, string path)
    {
        if (await AskAsync(site, new ApiRequest(HttpMethod.Get, "/_cheops/v1/replicants", ImmutableDictionary<string, string>.Empty, MayChange: false)) is not { Status: 200 } told) return null;
        using var list = JsonDocument.Parse(told.Body);
        var found = list.RootElement.GetProperty("replicants").EnumerateArray().Where(one => one.GetProperty("path").GetString() == path && !one.TryGetProperty("movingTo", out _)).ToArray();
        return found.Length != 1 ? null : [.. found[0].GetProperty("replicas").EnumerateObject().Select(one => one.Name)];
    }

    // An agent that ends answers nothing.
    private async Task<ApiAnswer?> AskAsync(Site site, ApiRequest request)
    {
        var asked = site.AskApiAsync(request);
        return await Task.WhenAny(asked, Task.Delay(AnswerMax, world.Clock)) == asked ? await asked : null;
    }

    private async Task RemoveAsync(string gone)
    {
        while (true)
        {
            foreach (var site in sites.Where(site => site.Replicator is { } replicator && replicator.Groups.Any(runner => Counts(runner, gone))))
            {
                var answer = await AskAsync(site, new ApiRequest(HttpMethod.Post, $"/_cheops/v1/removed-sites/{gone}", ImmutableDictionary<string, string>.Empty, MayChange: true));
                world.Tell(site.Name, null, $"a person removes {gone}, and is told {answer?.Status}");
            }

            await Task.Delay(Pause, world.Clock);
        }
    }

    private static bool Counts(Agent.Replication.GroupRunner runner, string gone) =>
        runner.Founding.Voters.Contains(gone) && runner.Group is { } group && !group.Status.Removed.Contains(gone);
}
