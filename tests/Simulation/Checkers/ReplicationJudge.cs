using System.Text.Json;
using Cheops.Tests.Simulation.Linearizability;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What is true of replication, for whoever holds what agents tell against it.</summary>
public interface IReplicationTruth
{
    /// <summary>What clients asked for and services did up to now.</summary>
    History History { get; }

    /// <summary>Whether a replicant's sites may be others than those that were asked for at first.</summary>
    bool SitesMayChange { get; }

    /// <summary>The log of a group, by the group's id; null when nothing was seen of it yet.</summary>
    LogHistory? LogOf(string group);

    /// <summary>The last place of a group's log that a site's machine was given, or needs not be given any more.</summary>
    long TakenAt(string site, string group);

    /// <summary>The name in the history of an operation, by its id; null for one that has none.</summary>
    string? OperationNamed(string id);

    /// <summary>The name in the history of what a site's service ever made under an id; null for nothing.</summary>
    string? KeyGiven(string site, string collection, string id);
}

/// <summary>What an agent tells at one moment: the lists of its API.</summary>
/// <param name="Site">Whose agent.</param>
/// <param name="Groups"><c>/_cheops/v1/groups</c>.</param>
/// <param name="Replicants"><c>/_cheops/v1/replicants</c>.</param>
/// <param name="Operations"><c>/_cheops/v1/operations?all=1</c>.</param>
public sealed record ToldReplication(string Site, JsonElement Groups, JsonElement Replicants, JsonElement Operations);

/// <summary>
/// Whether what an agent tells of its groups, replicants and operations is true. What it tells may be old, since it tells what it
/// has taken in so far; but nothing that has not happened, and nothing that contradicts itself.
/// </summary>
/// <param name="truth">What is true.</param>
public sealed partial class ReplicationJudge(IReplicationTruth truth)
{
    /// <summary>The lies in what is told at any moment.</summary>
    public IEnumerable<string> Judge(ToldReplication told) =>
        told.Groups.EnumerateArray().SelectMany(group => JudgeGroup(told.Site, group, told.Operations))
            .Concat(told.Replicants.EnumerateArray().SelectMany(replicant => JudgeReplicant(told.Site, replicant, told.Operations)))
            .Concat(told.Operations.EnumerateArray().SelectMany(operation => JudgeOperation(told.Site, operation)));

    private static string TextOf(JsonElement told, string name) => told.GetProperty(name).GetString()!;

    private static IEnumerable<(string Site, string Step)> StepsOf(JsonElement operation) =>
        operation.GetProperty("sites").EnumerateObject().Select(one => (one.Name, TextOf(one.Value, "step")));

    private static bool IsMove(JsonElement operation) => TextOf(operation, "kind") == "move";

    private static bool IsWaiting(string step) => step is "pending" or "in-doubt";

    private IEnumerable<string> JudgeGroup(string here, JsonElement told, JsonElement operations)
    {
        var (last, committed, applied) = (told.GetProperty("lastIndex").GetInt64(), told.GetProperty("commitIndex").GetInt64(), told.GetProperty("appliedIndex").GetInt64());
        var group = TextOf(told, "id");
        if (committed > last || applied > committed) yield return $"{here} tells that group {group} has {last} entries, of which {committed} are committed and {applied} applied";

        // What is told as applied has been: it tells of entries that it was given, or need not be given any more.
        if (truth.LogOf(group) is { } log && truth.TakenAt(here, group) is var taken && log.IsGivenBetween(taken, applied))
            yield return $"{here} tells that it has applied {applied} entries of group {group}, and was given up to {taken} only";

        var (open, diverged) = (told.GetProperty("openOperations").GetInt32(), told.GetProperty("divergedOperations").GetInt32());
        var listed = operations.EnumerateArray().Where(one => !IsMove(one) && TextOf(one, "group") == group).ToArray();
        var (openListed, divergedListed) = (
            listed.Count(one => !one.GetProperty("finished").GetBoolean() || one.GetProperty("diverged").GetBoolean()), listed.Count(one => one.GetProperty("diverged").GetBoolean()));
        if ((open, diverged) != (openListed, divergedListed))
            yield return $"{here} tells that {open} operations of group {group} are open and {diverged} have diverged, and lists {openListed} and {divergedListed}";
    }

    private IEnumerable<string> JudgeReplicant(string here, JsonElement told, JsonElement operations)
    {
        var path = TextOf(told, "path");
        var collection = path[..path.LastIndexOf('/')];
        var keys = new SortedSet<string>(StringComparer.Ordinal);
        var ids = new List<string>();
        var replicas = told.GetProperty("replicas").EnumerateObject().ToArray();
        foreach (var replica in replicas)
        {
            if (replica.Value.GetProperty("localId").GetString() is not { } id) continue;
            ids.Add($"{id} at {replica.Name}");
            keys.Add(truth.KeyGiven(replica.Name, collection, id) ?? "nothing");
        }

        if (keys.Count > 1 || keys.Contains("nothing")) yield return $"{here} tells of {path} as {string.Join(", ", ids)}, which is {string.Join(" and ", keys)}";

        string[] at = [.. replicas.Select(one => one.Name).Order(StringComparer.Ordinal)];
        if (!truth.SitesMayChange && keys.Count == 1 && truth.History.FirstSitesOf(keys.Min!) is { } asked && !asked.SetEquals(at))
            yield return $"{here} tells that {path} is at {string.Join(" & ", at)}, and {keys.Min} was asked for at {string.Join(" & ", asked.Order(StringComparer.Ordinal))}";

        // Those of the group that has it; another one that it has left, or comes to, is of other sites.
        var waiting = operations.EnumerateArray().Where(one => !IsMove(one) && TextOf(one, "replicant") == path && StepsOf(one).Select(step => step.Site).Order(StringComparer.Ordinal).SequenceEqual(at))
            .SelectMany(StepsOf).Where(one => IsWaiting(one.Step)).CountBy(one => one.Site).ToDictionary();
        foreach (var replica in replicas)
        {
            var (pending, listed) = (replica.Value.GetProperty("pendingOperations").GetInt32(), waiting.GetValueOrDefault(replica.Name));
            if (pending != listed) yield return $"{here} tells that {pending} operations on {path} are pending at {replica.Name}, and lists {listed}";
        }
    }
}
