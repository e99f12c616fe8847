using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Api;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Proto.Scopes;
using Cheops.Raft;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Replication;

/// <summary>
/// What the API tells of replication, and lets a person change: <c>groups</c>, <c>replicants</c> and their sites, <c>operations</c> (one
/// of them also waited for), <c>retry</c> and <c>skip</c> of what failed or is in doubt, <c>lead</c>, and the removal of a site that
/// will not come back.
/// </summary>
internal sealed partial class ReplicationApi(string site, Replicator replicator, TimeProvider time) : IApiSection
{
    public const string GroupsPath = "/_cheops/v1/groups";
    public const string ReplicantsPath = "/_cheops/v1/replicants";
    public const string OperationsPath = "/_cheops/v1/operations";
    public const string RemovedSitesPath = "/_cheops/v1/removed-sites";

    private const int ListedDefault = 1_000;
    private const int ListedMax = 100_000;

    /// <summary>All paths at which it answers.</summary>
    public static readonly ImmutableArray<string> AllPaths = [GroupsPath, ReplicantsPath, OperationsPath, RemovedSitesPath];

    /// <inheritdoc/>
    public ImmutableArray<string> Paths => AllPaths;

    /// <inheritdoc/>
    public async ValueTask<ApiAnswer> AnswerAsync(ApiRequest request)
    {
        var parts = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries)[2..];
        var reads = request.Method is HttpMethod.Get or HttpMethod.Head;
        try
        {
            return (parts, reads) switch
            {
                (["groups"], true) => Groups(),
                (["replicants"], true) => ListReplicants(request),
                (["operations"], true) => Operations(request),
                (["operations", var id], true) => await OperationAsync(id, request),
                _ when request.Method != HttpMethod.Post => NotAllowed(request.Path),
                _ when !request.MayChange => ApiAnswer.Failure(
                    site, 403, "not-from-elsewhere", "Changes are made on the machine itself", $"run the command at {site}, against the API's own address"),
                (["operations", var id, "retry"], _) => await ResolveAsync(id, Resolve.Retry, request),
                (["operations", var id, "skip"], _) => await ResolveAsync(id, Resolve.Skip, request),
                (["operations", var id, "done"], _) => await ResolveAsync(id, Resolve.Done, request),
                (["replicants", var name, "sites"], _) => await MoveAsync(name, request),
                (["groups", var id, "lead", var to], _) => await LeadAsync(id, to),
                (["removed-sites", var gone], _) => await RemoveAsync(gone, request),
                _ => NotAllowed(request.Path),
            };
        }
        catch (GroupException e)
        {
            return ApiAnswer.Failure(site, 503, "group-unavailable", "The replicas' sites cannot agree now", e.Message);
        }
        catch (OperationCanceledException)
        {
            return ApiAnswer.Failure(
                site, 504, "not-recorded", "It is not recorded yet", $"the replicas' sites have not agreed within {Bounds.ApiTimeMaxMs / 1000} s; it may be recorded still: look again");
        }
        catch (MoveException e)
        {
            return ApiAnswer.Failure(site, e.Status, "not-moved", "The replicant is not moved", e.Message);
        }
    }

    private ApiAnswer NotAllowed(string path) =>
        ApiAnswer.Failure(site, 404, "not-found", "There is nothing here", $"{path}: see 'cheops --help' for what replication can be asked and told");

    private static int Limit(ApiRequest request) =>
        int.TryParse(request.Query.GetValueOrDefault("limit"), NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? Math.Clamp(limit, 1, ListedMax) : ListedDefault;

    // ---- groups -----------------------------------------------------------------------------------------------------

    private ApiAnswer Groups() => ApiAnswer.Json(200, json =>
    {
        json.WriteString("site", site);
        json.WriteStartArray("groups");
        foreach (var runner in replicator.Groups.OrderBy(one => string.Join('&', one.Founding.Sites), StringComparer.Ordinal)) Write(json, runner);
        json.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter json, GroupRunner runner)
    {
        var status = runner.Group!.Status;
        var (open, diverged) = runner.Look(state => (state.OpenCount, state.Open.Count(one => one.IsDiverged)));
        json.WriteStartObject();
        json.WriteString("id", runner.Founding.Id.ToString());
        json.WriteStartArray("sites");
        foreach (var member in runner.Founding.Sites) json.WriteStringValue(member);
        json.WriteEndArray();
        json.WriteString("witness", runner.Founding.Witness);
        json.WriteString("leader", status.Leader);
        json.WriteBoolean("awake", status.IsAwake);
        json.WriteNumber("generation", status.Generation);
        json.WriteNumber("term", status.Term);
        json.WriteNumber("lastIndex", status.LastIndex);
        json.WriteNumber("commitIndex", status.CommitIndex);
        json.WriteNumber("appliedIndex", status.AppliedIndex);
        json.WriteNumber("openOperations", open);
        json.WriteNumber("divergedOperations", diverged);
        if ((status.Problem.Length > 0 ? status.Problem : runner.Problem) is { Length: > 0 } problem) json.WriteString("problem", problem);
        json.WriteEndObject();
    }

    private async Task<ApiAnswer> LeadAsync(string group, string to)
    {
        if (replicator.Groups.FirstOrDefault(one => one.Founding.Id.ToString() == group) is not { } runner)
            return ApiAnswer.Failure(site, 404, "no-group", "There is no such group here", $"no group {group}; 'cheops groups' lists them");
        using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.ApiTimeMaxMs), time);
        try
        {
            await runner.Group!.LeadAsync(to, bound.Token);
        }
        catch (OperationCanceledException)
        {
            return ApiAnswer.Failure(site, 504, "not-led", "The site does not lead yet", $"{to} does not lead within {Bounds.ApiTimeMaxMs / 1000} s");
        }

        return ApiAnswer.Json(200, json => json.WriteString("leader", to));
    }

    // ---- replicants -------------------------------------------------------------------------------------------------

    private ApiAnswer ListReplicants(ApiRequest request)
    {
        var service = request.Query.GetValueOrDefault("service", "");
        var limit = Limit(request);
        var more = false;
        var listed = new List<ReplicantRecord>();
        replicator.Replicants.Visit(record =>
        {
            if (service.Length > 0 && record.Key.Service != service) return true;
            more = listed.Count == limit;
            if (!more) listed.Add(record);
            return !more;
        });
        return ApiAnswer.Json(200, json =>
        {
            json.WriteString("site", site);
            json.WriteBoolean("more", more);
            json.WriteStartArray("replicants");
            foreach (var record in listed.OrderBy(record => record.Key.ToString(), StringComparer.Ordinal)) Write(json, record);
            json.WriteEndArray();
        });
    }

    private void Write(Utf8JsonWriter json, ReplicantRecord record)
    {
        var runner = replicator.Find(record.Group);
        var pending = runner?.Look(state => state.QueueOf(record.Key).ToArray()) ?? [];
        json.WriteStartObject();
        json.WriteString("service", record.Key.Service);
        json.WriteString("resource", record.Resource);
        json.WriteString("path", $"{record.Key.Collection}/{record.Key.MetaId}");
        json.WriteString("metaId", record.Key.MetaId);
        json.WriteString("operator", ScopePrinter.PrintOperator((ReplicationOperator)record.Operator));
        json.WriteString("createdAt", DateTimeOffset.FromUnixTimeMilliseconds(record.CreatedUnixMs));
        json.WriteStartObject("replicas");
        foreach (var member in runner?.Founding.Sites ?? [.. record.LocalIds.Keys])
        {
            var behind = pending.Count(one => one.IsOpenAt(member));
            json.WriteStartObject(member);
            json.WriteString("localId", record.LocalIds.GetValueOrDefault(member));
            json.WriteNumber("pendingOperations", behind);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        if (runner?.Look(state => state.MoveOf(record.Key)) is { } move) WriteSites(json, "movingTo", move.To);
        json.WriteEndObject();
    }

    // ---- operations -------------------------------------------------------------------------------------------------

    private ApiAnswer Operations(ApiRequest request)
    {
        var all = request.Query.GetValueOrDefault("all", "") is "1" or "true";
        var limit = Limit(request);
        return ApiAnswer.Json(200, json =>
        {
            var more = false;
            json.WriteString("site", site);
            json.WriteStartArray("operations");
            foreach (var runner in replicator.Groups)
            {
                runner.Look(state =>
                {
                    var (moves, operations) = (state.Moving, all ? state.RecentlyFinished.Concat(state.Open) : state.Open);
                    foreach (var move in moves.Take(limit)) Write(json, runner, move);
                    foreach (var one in operations.TakeLast(limit)) Write(json, runner, one);
                    return more |= moves.Skip(limit).Any() || operations.Skip(limit).Any();
                });
            }

            json.WriteEndArray();
            json.WriteBoolean("more", more);
        });
    }

    private async Task<ApiAnswer> OperationAsync(string text, ApiRequest request)
    {
        if (Find(text) is not { } found) return Unknown(text);
        var seconds = double.TryParse(request.Query.GetValueOrDefault("wait", "").TrimEnd('s'), NumberStyles.Float, CultureInfo.InvariantCulture, out var asked) ? asked : 0;
        if (seconds > 0)
        {
            using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(Math.Min(seconds, Bounds.OperationWaitMaxMs / 1000)), time);
            try
            {
                await found.Runner.WaitAsync(found.Id, static state => state.IsFinished, bound.Token);
            }
            catch (OperationCanceledException)
            {
                // Not finished yet: how it stands is told all the same.
            }
        }

        return ApiAnswer.Json(200, json => found.Runner.Look(state =>
        {
            if (state.TryFind(found.Id, out var one)) WriteMembers(json, found.Runner, one);
            return true;
        }));
    }

    private (GroupRunner Runner, OperationId Id)? Find(string text)
    {
        if (!OperationId.TryParse(text, out var id)) return null;
        var runner = replicator.Groups.FirstOrDefault(one => one.Look(state => state.TryFind(id, out _)));
        return runner is null ? null : (runner, id);
    }

    private ApiAnswer Unknown(string id) => ApiAnswer.Failure(
        site, 404, "no-operation", "The operation is not known here",
        $"no operation {id} is open at {site}, nor among the last {Bounds.OperationsFinishedKept} finished ones of its groups");

    private void Write(Utf8JsonWriter json, GroupRunner runner, OperationState one)
    {
        json.WriteStartObject();
        WriteMembers(json, runner, one);
        json.WriteEndObject();
    }

    private void WriteMembers(Utf8JsonWriter json, GroupRunner runner, OperationState one)
    {
        json.WriteString("id", one.Id.ToString());
        json.WriteString("group", runner.Founding.Id.ToString());
        json.WriteNumber("index", one.Index);
        json.WriteString("kind", one.Kind.ToString().ToLowerInvariant());
        json.WriteString("service", one.Key.Service);
        json.WriteString("replicant", $"{one.Key.Collection}/{one.Key.MetaId}");
        json.WriteString("request", $"{one.Method} {one.Target}");
        json.WriteString("origin", one.Origin);
        json.WriteString("decider", one.Decider);
        json.WriteString("decision", one.Decision is { } decision ? JsonNamingPolicy.CamelCase.ConvertName(decision.ToString()) : "none");
        json.WriteString("at", DateTimeOffset.FromUnixTimeMilliseconds(one.AtUnixMs));
        json.WriteBoolean("finished", one.IsFinished);
        json.WriteBoolean("diverged", one.IsDiverged);
        json.WriteStartObject("sites");
        foreach (var member in one.Sites)
        {
            json.WriteStartObject(member);
            json.WriteString("step", OperationState.NameOf(one.StepAt(member)));
            if (one.AnswerAt(member) is { } answer)
            {
                json.WriteNumber("status", answer.Status);
                if (answer.Excerpt.Length > 0) json.WriteString("answer", answer.Excerpt);
            }
            else if (member == site && one.StepAt(member) == SiteStep.Pending && runner.WhyWaiting(one) is { } waits)
            {
                json.WriteString("waits", waits);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private async Task<ApiAnswer> ResolveAsync(string text, Resolve how, ApiRequest request)
    {
        if (Find(text) is not { } found) return Unknown(text);
        var at = request.Query.GetValueOrDefault("site", site);
        var (step, isUnnamed) = found.Runner.Look(state => state.TryFind(found.Id, out var one) ? (one.StepAt(at), one.Key.MetaId.Length == 0) : (SiteStep.Applied, false));
        var localId = request.Query.GetValueOrDefault("localId", "");
        if (step is not (SiteStep.Failed or SiteStep.InDoubt))
        {
            return ApiAnswer.Failure(
                site, 409, "nothing-to-resolve", "There is nothing to resolve", $"the operation is {OperationState.NameOf(step)} at {at}; only what failed or is in doubt is resolved");
        }

        if (localId.Length > Bounds.LocalIdSizeMax || (how == Resolve.Done && isUnnamed && localId.Length == 0))
        {
            return ApiAnswer.Failure(
                site, 422, "local-id", "The id of what was created is needed",
                $"tell with localId (--local-id) which id the service at {at} gave it, of at most {Bounds.LocalIdSizeMax} bytes");
        }

        using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.ApiTimeMaxMs), time);
        await found.Runner.ResolveAsync(new ResolvedEntry(found.Id, at, how, how == Resolve.Done ? localId : ""), bound.Token);
        return await OperationAsync(text, request with { Query = request.Query.Remove("wait") });
    }
}
