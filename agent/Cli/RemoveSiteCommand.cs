using System.Text.Json;
using Cheops.Agent.Replication;
using Cheops.Proto;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops sites remove</c>: a site that will not come back leaves every group.</summary>
internal static class RemoveSiteCommand
{
    private static readonly Option Force = new("--force", "", "remove it although it is up; it has no part in its groups any more");

    public static readonly Command Command = new()
    {
        Name = "sites remove",
        Summary = "let a site that will not come back leave every group",
        Details = """
            The remaining members of each group decide it; from then on the site's vote and acknowledgement count no more, and
            nothing waits for it. This site asks for its own groups, and all sites that are up for theirs. Each group is told
            with what became of it; when one has no majority, or a site was not reached, the rest is done all the same, and the
            exit code is 1: say it again later, which does no harm.
            Only for a site that is gone: one that comes back has no part in the groups it was removed from. For one that is
            up it takes --force.
            """,
        Positionals = [new("SITE", "the site")],
        Options = [Force, CommonOptions.Output, CommonOptions.Api, CommonOptions.EnvFile],
        Examples = ["cheops sites remove Site3", "cheops sites remove Site3 -o json | jq '.groups[] | select(.removed | not)'"],
        Run = RunAsync,
    };

    private static async Task<int> RunAsync(Invocation invocation)
    {
        if (ApiClient.From(invocation, out var mistake) is not { } client) return invocation.Fail(ExitCode.Mistake, mistake);
        var target = $"{ReplicationApi.RemovedSitesPath}/{Uri.EscapeDataString(invocation.Positionals[0])}{(invocation.Has(Force) ? "?force=1" : "")}";
        var reply = await client.PostAsync(target, Bounds.SiteRemovalAnswerTimeMaxMs);
        if (reply.Status == 422) return invocation.Fail(ExitCode.Mistake, AgentCommands.ReasonOf(reply));
        if (reply.Status != 200) return invocation.Fail(ExitCode.Failed, AgentCommands.ReasonOf(reply));
        try
        {
            using var document = JsonDocument.Parse(reply.Body);
            var (text, isDone) = Tell(document.RootElement);
            await invocation.Out.WriteAsync(invocation.WantsJson ? reply.Body : text);
            return isDone ? ExitCode.Ok : ExitCode.Failed;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new ApiUnreachableException("what answers is no agent that replicates", e);
        }
    }

    /// <summary>What is said for people, and whether all was done.</summary>
    internal static (string Text, bool IsDone) Tell(JsonElement root)
    {
        var (site, isDone) = (root.GetProperty("site").GetString(), root.GetProperty("done").GetBoolean());
        var groups = root.GetProperty("groups").EnumerateArray().Select(one => new[]
        {
            string.Join(" & ", one.GetProperty("sites").EnumerateArray().Select(member => member.GetString())),
            one.GetProperty("removed").GetBoolean() ? "removed" : "refused",
            one.TryGetProperty("reason", out var reason) ? reason.GetString()! : "-",
        });
        var others = root.GetProperty("withoutAnswer").EnumerateArray()
            .Select(one => new[] { $"others of {one.GetProperty("site").GetString()}", "not known", one.GetProperty("reason").GetString()! });
        string[][] rows = [.. groups, .. others];
        var table = rows.Length == 0 ? "" : TextTable.Format(["GROUP", "RESULT", "REASON"], rows);
        return (table + (isDone ? $"{site} counts in no group any more\n" : $"{site} still counts where it was not removed; say it again when that can be decided\n"), isDone);
    }
}
