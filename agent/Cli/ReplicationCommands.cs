using System.Globalization;
using System.Text.Json;
using Cheops.Agent.Replication;
using Cheops.Proto;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops replicants</c>, <c>cheops operations</c>, <c>cheops groups</c> and what changes them.</summary>
internal static class ReplicationCommands
{
    private static readonly Option Service = new("--service", "SERVICE", "only this service's") { Short = "-s" };

    private static readonly Option Limit = new("--limit", "N", "at most so many; of operations, the newest of each group (default: 1000)");

    private static readonly Option Everything = new("--all", "", "also operations that were finished lately");

    private static readonly Option Watch = new("--watch", "", "go on: print again whenever something has changed, until interrupted") { Short = "-w" };

    private static readonly Option AtSite = new("--site", "SITE", "the site at which it failed or is in doubt (default: this one)");

    private static readonly Option LocalId = new("--local-id", "ID", "of a create: the id that the service there gave to what was created");

    private static readonly Positional Id = new("ID", "the operation's id, as 'cheops operations' and the field Cheops-Operation tell it");

    /// <summary><c>cheops replicants</c>.</summary>
    public static readonly Command Replicants = new()
    {
        Name = "replicants",
        Summary = "list the replicated resources of this site, with their replicas' ids",
        Options = [Service, Limit, CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops replicants", "cheops replicants -s kube -o json | jq '.replicants[].path'"],
        Run = invocation => ShowAsync(invocation, ReplicationApi.ReplicantsPath + Query(invocation), ReplicantsTable),
    };

    /// <summary><c>cheops operations</c>.</summary>
    public static readonly Command Operations = new()
    {
        Name = "operations",
        Summary = "list the operations that are not finished at all sites, or have diverged",
        Details = """
            Steps at a site: pending; applied; failed (the application there refused what was accepted: divergence, until
            'cheops operations retry', 'skip' or 'done'); in-doubt (it may have been executed, which looking does not tell: look at
            the service, and say 'done' if it was, 'retry' if it was not, 'skip' to leave it out); skipped.
            """,
        Options = [Everything, Watch, Limit, CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops operations", "cheops operations --watch", "cheops operations --all -o json"],
        Run = RunOperationsAsync,
    };

    /// <summary><c>cheops operations retry</c>.</summary>
    public static readonly Command Retry = Resolving("retry", "carry out again what failed, or is in doubt, at a site");

    /// <summary><c>cheops operations skip</c>.</summary>
    public static readonly Command Skip = Resolving("skip", "leave out what failed, or is in doubt, at a site");

    /// <summary><c>cheops operations done</c>.</summary>
    public static readonly Command Done = Resolving("done", "say that what failed, or is in doubt, was executed at a site", LocalId);

    /// <summary><c>cheops groups</c>.</summary>
    public static readonly Command Groups = new()
    {
        Name = "groups",
        Summary = "list the replicant groups of this site: members, leader, how far each is",
        Options = [CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops groups", "cheops groups -o json"],
        Run = invocation => ShowAsync(invocation, ReplicationApi.GroupsPath, GroupsTable),
    };

    /// <summary><c>cheops replicants lead</c>.</summary>
    public static readonly Command Lead = new()
    {
        Name = "replicants lead",
        Summary = "make a site lead a replicant group",
        Details = """
            The leader orders the group's operations. By itself the lead goes to the site that clearly sends most of them, and a
            group that nobody has used for a while is led by whoever uses it next. A leader that was asked for stays for ten minutes,
            as long as the group is in use and the site is reached.
            """,
        Positionals = [new("GROUP", "the group's sites, as 'cheops groups' prints them, such as 'Site1 & Site2'"), new("SITE", "the site that is to lead")],
        Options = [CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops replicants lead 'Site1 & Site2' Site2"],
        Run = RunLeadAsync,
    };

    private static readonly Positional Replicant = new("REPLICANT", "its path, or its meta-id, as 'cheops replicants' lists them");

    private static readonly Option KeepReplica = new("--keep-replica", "", "the site keeps its replica as an ordinary resource of its own (the default)");

    private static readonly Option DeleteReplica = new("--delete-replica", "", "the site deletes its replica");

    /// <summary><c>cheops replicants add-site</c>.</summary>
    public static readonly Command AddSite = new()
    {
        Name = "replicants add-site",
        Summary = "give a replicant a replica at one more site",
        Details = "Its operations wait meanwhile. The new replica is made from what a site that has one answers. Run it at a site that has a replica.",
        Positionals = [Replicant, new("SITE", "the site")],
        Options = [Service, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops replicants add-site /api/v1/namespaces/default/pods/web Site3"],
        Run = invocation => RunMoveAsync(invocation, $"add={Uri.EscapeDataString(invocation.Positionals[1])}"),
    };

    /// <summary><c>cheops replicants remove-site</c>.</summary>
    public static readonly Command RemoveReplicaSite = new()
    {
        Name = "replicants remove-site",
        Summary = "let a site leave a replicant",
        Details = "The site's replica stays there as an ordinary resource, or is deleted. The last site cannot leave: delete the resource instead.",
        Positionals = [Replicant, new("SITE", "the site")],
        Options = [KeepReplica, DeleteReplica, Service, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops replicants remove-site /api/v1/namespaces/default/pods/web Site3 --delete-replica"],
        Run = invocation => invocation.Has(KeepReplica) && invocation.Has(DeleteReplica)
            ? Task.FromResult(invocation.Fail(ExitCode.Mistake, "--keep-replica and --delete-replica exclude each other"))
            : RunMoveAsync(invocation, $"remove={Uri.EscapeDataString(invocation.Positionals[1])}&replica={(invocation.Has(DeleteReplica) ? "delete" : "keep")}"),
    };

    private static async Task<int> RunMoveAsync(Invocation invocation, string query)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var service = invocation.Value(Service) is { } given ? $"&service={Uri.EscapeDataString(given)}" : "";
        var reply = await client.PostAsync($"{ReplicationApi.ReplicantsPath}/{Uri.EscapeDataString(invocation.Positionals[0])}/sites?{query}{service}");
        if (reply.Status is not (200 or 202)) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        await invocation.Out.WriteAsync(Format(reply.Body, MovedText));
        return ExitCode.Ok;
    }

    private static string MovedText(JsonElement root)
    {
        var sites = string.Join(" & ", SitesOf(root));
        if (root.GetProperty("moved").GetBoolean()) return $"{Text(root, "path")} is replicated at {sites}\n";
        return $"{Text(root, "path")} moves to {sites}; 'cheops operations' shows when it has{(Text(root, "problem") is var reason and not "-" ? $" ({reason})" : "")}\n";
    }

    private static Command Resolving(string verb, string summary, params Option[] more) => new()
    {
        Name = $"operations {verb}",
        Summary = summary,
        Positionals = [Id],
        Options = [AtSite, .. more, CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = [$"cheops operations {verb} 0123456789abcdef0123456789abcdef --site Site2"],
        Run = invocation => ChangeAsync(
            invocation,
            $"{ReplicationApi.OperationsPath}/{Uri.EscapeDataString(invocation.Positionals[0])}/{verb}{Query(invocation)}",
            null),
    };

    private static string Query(Invocation invocation)
    {
        var values = new List<string>();
        if (invocation.Value(Service) is { } service) values.Add($"service={Uri.EscapeDataString(service)}");
        if (invocation.Value(Limit) is { } limit) values.Add($"limit={Uri.EscapeDataString(limit)}");
        if (invocation.Has(Everything)) values.Add("all=1");
        if (invocation.Value(AtSite) is { } site) values.Add($"site={Uri.EscapeDataString(site)}");
        if (invocation.Value(LocalId) is { } localId) values.Add($"localId={Uri.EscapeDataString(localId)}");
        return values.Count == 0 ? "" : "?" + string.Join('&', values);
    }

    private static async Task<int> ShowAsync(Invocation invocation, string target, Func<JsonElement, string> table)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var reply = await client.GetAsync(target);
        if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        await invocation.Out.WriteAsync(invocation.WantsJson ? reply.Body : Format(reply.Body, table));
        return ExitCode.Ok;
    }

    private static string Format(string body, Func<JsonElement, string> table)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return table(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ApiUnreachableException("what answers is no agent that replicates", e);
        }
    }

    private static async Task<int> RunOperationsAsync(Invocation invocation)
    {
        if (!invocation.Has(Watch)) return await ShowAsync(invocation, ReplicationApi.OperationsPath + Query(invocation), OperationsTable);
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        for (var before = ""; ;)
        {
            var reply = await client.GetAsync(ReplicationApi.OperationsPath + Query(invocation));
            if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
            if (reply.Body != before)
            {
                await invocation.Out.WriteAsync(invocation.WantsJson ? reply.Body : Format(reply.Body, OperationsTable) + "\n");
                await invocation.Out.FlushAsync();
                before = reply.Body;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(Bounds.HeartbeatMs), invocation.Context.Time);
        }
    }

    private static async Task<int> ChangeAsync(Invocation invocation, string target, string? said)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var reply = await client.PostAsync(target);
        if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        await invocation.Out.WriteAsync(said ?? reply.Body);
        return ExitCode.Ok;
    }

    private static async Task<int> RunLeadAsync(Invocation invocation)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var reply = await client.GetAsync(ReplicationApi.GroupsPath);
        if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        var wanted = invocation.Positionals[0].Split('&', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal).ToArray();
        using var document = JsonDocument.Parse(reply.Body);
        foreach (var group in document.RootElement.GetProperty("groups").EnumerateArray())
        {
            if (!SitesOf(group).SequenceEqual(wanted)) continue;
            return await ChangeAsync(
                invocation,
                $"{ReplicationApi.GroupsPath}/{group.GetProperty("id").GetString()}/lead/{Uri.EscapeDataString(invocation.Positionals[1])}",
                $"{invocation.Positionals[1]} leads {string.Join(" & ", wanted)}\n");
        }

        return invocation.Fail(ExitCode.Mistake, $"this site has no group {string.Join(" & ", wanted)}; 'cheops groups' lists them");
    }

    // ---- tables ---------------------------------------------------------------------------------------------------------

    private static IEnumerable<string> SitesOf(JsonElement group) => group.GetProperty("sites").EnumerateArray().Select(site => site.GetString()!);

    private static string Text(JsonElement of, string name) =>
        of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "-";

    private static string Number(JsonElement of, string name) => of.GetProperty(name).GetInt64().ToString(CultureInfo.InvariantCulture);

    private static string GroupsTable(JsonElement root) => TextTable.Format(
        ["GROUP", "WITNESS", "LEADER", "STATE", "TERM", "COMMITTED", "APPLIED", "OPEN", "DIVERGED", "PROBLEM"],
        [.. root.GetProperty("groups").EnumerateArray().Select(group => new[]
        {
            string.Join(" & ", SitesOf(group)),
            Text(group, "witness") is var witness && witness == "-" && SitesOf(group).Count() == 2 ? "no witness" : witness,
            Text(group, "leader"),
            group.GetProperty("awake").GetBoolean() ? "awake" : "asleep",
            Number(group, "term"),
            Number(group, "commitIndex"),
            Number(group, "appliedIndex"),
            Number(group, "openOperations"),
            Number(group, "divergedOperations"),
            Text(group, "problem"),
        })]);

    private static string ReplicantsTable(JsonElement root) => TextTable.Format(
        ["SERVICE", "RESOURCE", "PATH", "REPLICAS"],
        [.. root.GetProperty("replicants").EnumerateArray().Select(one => new[]
        {
            Text(one, "service"),
            Text(one, "resource"),
            Text(one, "path"),
            string.Join("; ", one.GetProperty("replicas").EnumerateObject().Select(replica => Replica(replica, Text(one, "metaId"))))
                + (one.TryGetProperty("movingTo", out var to) ? $" (moves to {string.Join(" & ", to.EnumerateArray().Select(site => site.GetString()))})" : ""),
        })]) + More(root, "there are more replicants than these");

    // What is left out is said: whoever sees nothing of an operation must not think that there is none.
    private static string More(JsonElement root, string what) => root.GetProperty("more").GetBoolean() ? $"({what}: --limit N shows more of them)\n" : "";

    private static string Replica(JsonProperty replica, string metaId)
    {
        var local = Text(replica.Value, "localId");
        var pending = replica.Value.GetProperty("pendingOperations").GetInt32();
        var behind = pending == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" ({pending} pending)");
        return $"{replica.Name}{(local == "-" ? " not made yet" : local == metaId ? "" : "=" + local)}{behind}";
    }

    private static string OperationsTable(JsonElement root) => TextTable.Format(
        ["OPERATION", "AT", "REQUEST", "DECIDED", "SITES"],
        [.. root.GetProperty("operations").EnumerateArray().Select(one => new[]
        {
            Text(one, "id"),
            one.GetProperty("at").GetDateTimeOffset().ToString("u", CultureInfo.InvariantCulture),
            Text(one, "request"),
            $"{Text(one, "decision")} ({Text(one, "decider")})",
            string.Join("; ", one.GetProperty("sites").EnumerateObject().Select(site => Step(site.Name, site.Value))),
        })]) + More(root, "there are more operations than these newest ones of each group");

    private static string Step(string site, JsonElement step)
    {
        var word = $"{site}={Text(step, "step")}";
        if (step.TryGetProperty("waits", out var waits)) return $"{word} ({waits.GetString()})";
        return step.TryGetProperty("answer", out var answer) && answer.GetString() is { Length: > 0 } text
            ? $"{word} ({Number(step, "status")}: {text.ReplaceLineEndings(" ")[..Math.Min(80, text.ReplaceLineEndings(" ").Length)]})"
            : word;
    }
}
