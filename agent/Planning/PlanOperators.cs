using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>What of a plan this version carries out: replication by <c>&amp;</c> of the whole request, sharing and otherwise.</summary>
internal static class PlanOperators
{
    /// <summary>The operators of a plan that are not carried out, for a person; empty when all of it is.</summary>
    /// <param name="plan">What a scope came to.</param>
    /// <param name="mayReplicate">Whether <c>&amp;</c> is carried out at its root: a site without data does not replicate.</param>
    public static string NotBuilt(Plan plan, bool mayReplicate)
    {
        if (plan is SitePlan) return "";
        var found = new SortedSet<string>(StringComparer.Ordinal);
        Collect(plan, found, mayReplicate);
        return string.Join(", ", found);
    }

    private static void Collect(Plan plan, SortedSet<string> found, bool mayReplicate)
    {
        if (plan is AllPlan all && !(mayReplicate && all.Operator == ReplicationOperator.Eventual)) found.Add(ScopePrinter.PrintOperator(all.Operator));
        if (plan is SpreadPlan) found.Add("%");
        foreach (var part in TreeText.PartsOf(plan)) Collect(part, found, mayReplicate: false);
    }
}
