using System.Collections.Immutable;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// Joins plans in their simplest form. An operand of the same kind (and operator) is dissolved into its parent, since
/// <c>;</c>, <c>%</c> and each replication operator are associative; what occurs twice is kept where it occurs first,
/// since a site that failed would fail again and a site holds one replica; a join of one is that one.
/// </summary>
internal static class PlanShape
{
    public static Plan First(IEnumerable<Plan> plans)
    {
        var alternatives = Distinct(plans, static plan => plan is FirstPlan first ? first.Alternatives : []);
        return alternatives.Length == 1 ? alternatives[0] : new FirstPlan(alternatives);
    }

    public static Plan All(ReplicationOperator replication, IEnumerable<Plan> plans)
    {
        var replicas = Distinct(plans, plan => plan is AllPlan all && all.Operator == replication ? all.Replicas : []);
        return replicas.Length == 1 ? replicas[0] : new AllPlan(replication, replicas);
    }

    public static Plan Spread(IEnumerable<Plan> plans)
    {
        var parts = Distinct(plans, static plan => plan is SpreadPlan spread ? spread.Parts : []);
        return parts.Length == 1 ? parts[0] : new SpreadPlan(parts);
    }

    private static ImmutableArray<Plan> Distinct(IEnumerable<Plan> plans, Func<Plan, ImmutableArray<Plan>> dissolve)
    {
        var seen = new HashSet<Plan>();
        var distinct = ImmutableArray.CreateBuilder<Plan>();
        foreach (var plan in plans)
        {
            var inner = dissolve(plan);
            foreach (var part in inner.IsEmpty ? [plan] : inner)
            {
                if (seen.Add(part))
                    distinct.Add(part);
            }
        }

        return distinct.DrainToImmutable();
    }
}
