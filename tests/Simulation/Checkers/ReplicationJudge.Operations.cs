using System.Text.Json;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What is told of operations: in the agents' lists, in answers to clients, and when all is at rest.</summary>
public sealed partial class ReplicationJudge
{
    /// <summary>The lies in what an answer says of the sites: <c>Site1=applied; Site2=pending</c>.</summary>
    /// <param name="operation">The operation's name in the history.</param>
    /// <param name="replicas">What the answer says; null for nothing.</param>
    public IEnumerable<string> JudgeAnswer(string operation, string? replicas)
    {
        if (replicas is null) yield break;
        foreach (var (site, step) in replicas.Split("; ").Select(one => one.Split('=')).Select(one => (one[0], one[1])))
        {
            var isDone = truth.History.HasApplied(site, operation);
            if (step == "applied" && !isDone) yield return $"{operation} was told as applied at {site}, whose service has not carried it out";
            if (step is "failed" or "refused" or "skipped" && isDone) yield return $"{operation} was told as {step} at {site}, whose service has carried it out";
        }
    }

    /// <summary>What an agent tells as open, or does not tell, when all is at rest: beyond <see cref="Judge"/>.</summary>
    public IEnumerable<string> JudgeAtRest(ToldReplication told)
    {
        foreach (var group in told.Groups.EnumerateArray())
        {
            var (last, applied) = (group.GetProperty("lastIndex").GetInt64(), group.GetProperty("appliedIndex").GetInt64());
            if (applied != last) yield return $"{told.Site} tells that it has applied {applied} of {last} entries of group {TextOf(group, "id")}, and all is at rest";
        }

        foreach (var replicant in told.Replicants.EnumerateArray())
        {
            if (replicant.TryGetProperty("movingTo", out _)) yield return $"{told.Site} tells that {TextOf(replicant, "path")} is moving, and all is at rest";

            // A site that a thing comes to is not told what ids others take for it from then on where it had been before.
            foreach (var replica in replicant.GetProperty("replicas").EnumerateObject().Where(one => !truth.SitesMayChange && one.Value.GetProperty("localId").GetString() is null))
                yield return $"{told.Site} tells of no id of {TextOf(replicant, "path")} at {replica.Name}, and all is at rest";
        }

        foreach (var operation in told.Operations.EnumerateArray())
        {
            var name = truth.OperationNamed(TextOf(operation, "id")) ?? $"{TextOf(operation, "request")} ({TextOf(operation, "id")})";
            if (!operation.GetProperty("finished").GetBoolean() || operation.GetProperty("diverged").GetBoolean())
                yield return $"{told.Site} tells that {name} is not finished ({TextOf(operation, "decision")}; {string.Join("; ", StepsOf(operation).Select(one => $"{one.Site}={one.Step}"))}), and all is at rest";
        }
    }

    private IEnumerable<string> JudgeOperation(string here, JsonElement told)
    {
        if (IsMove(told)) return [];
        var name = truth.OperationNamed(TextOf(told, "id"));
        var itself = JudgeItself($"{here} tells that {name ?? TextOf(told, "id")}", told);

        // What was gone already is removed without a service doing anything.
        return name is null || TextOf(told, "kind") == "delete" ? itself : JudgeDone($"{here} tells that {name}", told, name).Concat(itself);
    }

    // By what the services did, and the client was told.
    private IEnumerable<string> JudgeDone(string tells, JsonElement told, string operation)
    {
        var (decision, steps, done) = (TextOf(told, "decision"), StepsOf(told).ToArray(), truth.History.AppliedAt(operation));
        foreach (var (site, _) in steps.Where(one => one.Step == "applied" && !done.Contains(one.Site))) yield return $"{tells} is applied at {site}, whose service has not carried it out";
        foreach (var (site, _) in steps.Where(one => one.Step == "failed" && done.Contains(one.Site))) yield return $"{tells} has failed at {site}, whose service has carried it out";
        if (decision == "accepted" && done.Count == 0) yield return $"{tells} is accepted, and no service has carried it out";

        // One that another site decides instead of may have done it, until it is known there.
        var isRefused = decision is "refused" or "notExecuted";
        foreach (var site in done.Where(site => isRefused && !steps.Any(one => one.Site == site && IsWaiting(one.Step)))) yield return $"{tells} is {decision}, and the service of {site} has carried it out";
        foreach (var (site, _) in steps.Where(one => decision == "accepted" && one.Step == "skipped" && done.Contains(one.Site))) yield return $"{tells} is left out at {site}, whose service has carried it out";

        var client = truth.History.ToldOf(operation);
        if ((isRefused && client == Told.Accepted) || (decision == "accepted" && client == Told.Refused)) yield return $"{tells} is {decision}, and its client was told that it is {(isRefused ? "accepted" : "refused")}";

        string[] at = [.. steps.Select(one => one.Site).Order(StringComparer.Ordinal)];
        if (!truth.SitesMayChange && truth.History.SitesOf(operation) is { } asked && !asked.SetEquals(at))
            yield return $"{tells} is one of {string.Join(" & ", at)}, and it was asked for at {string.Join(" & ", asked.Order(StringComparer.Ordinal))}";
    }

    private static IEnumerable<string> JudgeItself(string tells, JsonElement told)
    {
        var (decision, steps) = (TextOf(told, "decision"), StepsOf(told).ToArray());
        var (isFinished, hasDiverged) = (decision != "none" && !steps.Any(one => IsWaiting(one.Step)), steps.Any(one => one.Step == "failed"));
        if (told.GetProperty("finished").GetBoolean() != isFinished) yield return $"{tells} is {(isFinished ? "not finished" : "finished")} ({decision}; {string.Join("; ", steps.Select(one => $"{one.Site}={one.Step}"))})";
        if (told.GetProperty("diverged").GetBoolean() != hasDiverged) yield return $"{tells} has {(hasDiverged ? "not diverged" : "diverged")} ({string.Join("; ", steps.Select(one => $"{one.Site}={one.Step}"))})";
        if (decision == "none" && steps.Any(one => one.Step is "applied" or "failed" or "skipped")) yield return $"{tells} is not decided, and is {string.Join("; ", steps.Select(one => $"{one.Site}={one.Step}"))}";
    }
}
