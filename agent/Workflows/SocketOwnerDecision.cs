using Cheops.Agent.Profiles;

namespace Cheops.Agent.Workflows;

/// <summary>
/// Decides by the calling service alone, where a request carries no id: a service with scoped requests of one scope
/// under way works for that; with several it is ambiguous, which is refused unless the called service's profile says
/// <c>ambiguous: local</c>; with none it works for itself.
/// </summary>
public static class SocketOwnerDecision
{
    private const int ScopesShownMax = 4;

    /// <summary>Decides.</summary>
    /// <param name="caller">The calling service; null when the caller is none of this site's services.</param>
    /// <param name="underWay">The workflows whose requests the caller is carrying out, each once.</param>
    /// <param name="addressed">The called service's profile.</param>
    public static WorkflowMatch Decide(string? caller, ReadOnlySpan<Workflow> underWay, ServiceProfile addressed)
    {
        if (caller is null || underWay.IsEmpty)
            return default;
        if (Unanimous(underWay) is { } workflow)
            return new WorkflowMatch(MatchKind.Matched, workflow);
        if (addressed.Ambiguous == AmbiguityRule.Local)
            return default;
        return new WorkflowMatch(
            MatchKind.Ambiguous,
            Detail: $"{caller} has requests of different scopes under way ({Scopes(underWay)}) and sent no id that tells them apart; "
                + $"let it carry one on ('propagate' in its profile), or set 'ambiguous' to 'local' for {addressed.Name}");
    }

    /// <summary>The newest of some workflows if all have the same scope, else null.</summary>
    internal static Workflow? Unanimous(ReadOnlySpan<Workflow> workflows)
    {
        var newest = workflows[0];
        foreach (var workflow in workflows)
        {
            if (!workflow.Scope.Equals(newest.Scope))
                return null;
            if (workflow.BegunAt > newest.BegunAt)
                newest = workflow;
        }

        return newest;
    }

    internal static string Scopes(ReadOnlySpan<Workflow> workflows)
    {
        var scopes = new List<string>();
        foreach (var workflow in workflows)
        {
            var scope = workflow.Scope.ToString();
            if (!scopes.Contains(scope))
                scopes.Add(scope);
        }

        var shown = string.Join(" | ", scopes.Take(ScopesShownMax));
        return scopes.Count <= ScopesShownMax ? shown : $"{shown} and {scopes.Count - ScopesShownMax} more";
    }
}
