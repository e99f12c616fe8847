using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Planning;

/// <summary>
/// Where a request is carried out: what a scope's location comes to at this moment. Data, immutable, compared by
/// structure; an executor walks it. <see cref="ToString"/> reads like scope-lang.
/// </summary>
public abstract record Plan
{
    private protected Plan()
    {
    }

    /// <summary>Writes the plan as JSON: <c>{"site": …}</c>, <c>{"first": […]}</c>, <c>{"all": […], "operator": …}</c> or <c>{"spread": […]}</c>.</summary>
    public abstract void WriteTo(Utf8JsonWriter json);

    /// <summary>The plan in one line of ASCII, for logs and the <c>Cheops-Plan</c> header.</summary>
    public abstract override string ToString();

    private protected static string Join(ImmutableArray<Plan> plans, string joiner) =>
        string.Join(joiner, plans.Select(plan => plan is SitePlan ? plan.ToString() : $"({plan})"));

    private protected static void WriteArray(Utf8JsonWriter json, string name, ImmutableArray<Plan> plans)
    {
        json.WriteStartArray(name);
        foreach (var plan in plans)
            plan.WriteTo(json);
        json.WriteEndArray();
    }

    private protected static int HashOf(int seed, ImmutableArray<Plan> plans)
    {
        var hash = new HashCode();
        hash.Add(seed);
        foreach (var plan in plans)
            hash.Add(plan);
        return hash.ToHashCode();
    }
}

/// <summary>One site carries it out.</summary>
/// <param name="Site">Its name.</param>
/// <param name="IsLocal">Whether it is the site of the agent that planned.</param>
public sealed record SitePlan(string Site, bool IsLocal) : Plan
{
    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("site", Site);
        json.WriteBoolean("local", IsLocal);
        json.WriteEndObject();
    }

    /// <inheritdoc/>
    public override string ToString() => Site;
}

/// <summary>Otherwise: the first alternative that works (<see cref="FirstDecision"/> says when to go on).</summary>
/// <param name="Alternatives">Two or more, none twice, none itself a <see cref="FirstPlan"/>.</param>
public sealed record FirstPlan(ImmutableArray<Plan> Alternatives) : Plan
{
    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        WriteArray(json, "first", Alternatives);
        json.WriteEndObject();
    }

    /// <inheritdoc/>
    public override string ToString() => Join(Alternatives, "; ");

    /// <inheritdoc/>
    public bool Equals(FirstPlan? other) => other is not null && Alternatives.AsSpan().SequenceEqual(other.Alternatives.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(1, Alternatives);
}

/// <summary>Replication: all carry it out.</summary>
/// <param name="Operator">How the replicas are kept the same.</param>
/// <param name="Replicas">Two or more, none twice, none itself an <see cref="AllPlan"/> of the same operator; one is allowed for a <see cref="Replicant"/>.</param>
/// <param name="Replicant">The replicant that the path names; null for a scope that would make one.</param>
public sealed record AllPlan(ReplicationOperator Operator, ImmutableArray<Plan> Replicas, Replicant? Replicant = null) : Plan
{
    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        WriteArray(json, "all", Replicas);
        json.WriteString("operator", ScopePrinter.PrintOperator(Operator));
        if (Replicant is not null)
            json.WriteString("replicant", Replicant.MetaId);
        json.WriteEndObject();
    }

    /// <inheritdoc/>
    public override string ToString() => Join(Replicas, $" {ScopePrinter.PrintOperator(Operator)} ");

    /// <inheritdoc/>
    public bool Equals(AllPlan? other) => other is not null && Operator == other.Operator
        && Replicant == other.Replicant && Replicas.AsSpan().SequenceEqual(other.Replicas.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(2 + (int)Operator, Replicas);
}

/// <summary>Cross: one resource is spread over all of them.</summary>
/// <param name="Parts">Two or more, none twice, none itself a <see cref="SpreadPlan"/>.</param>
public sealed record SpreadPlan(ImmutableArray<Plan> Parts) : Plan
{
    /// <inheritdoc/>
    public override void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        WriteArray(json, "spread", Parts);
        json.WriteEndObject();
    }

    /// <inheritdoc/>
    public override string ToString() => Join(Parts, " % ");

    /// <inheritdoc/>
    public bool Equals(SpreadPlan? other) => other is not null && Parts.AsSpan().SequenceEqual(other.Parts.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(9, Parts);
}
