using System.Collections.Immutable;

namespace Cheops.Proto.Scopes;

/// <summary>How the replicas of one resource are kept the same (DESIGN.md section 7).</summary>
public enum ReplicationOperator
{
    /// <summary><c>&amp;</c>: answers when the deciding site has decided; the others follow.</summary>
    Eventual,
    /// <summary><c>&amp;&amp;</c>: answers when a majority of the sites have carried the operation out.</summary>
    Strong,
    /// <summary><c>&amp;~</c>: any site accepts operations even when it is alone; they are merged later.</summary>
    Mergeable,
}

/// <summary>
/// What a scope gives a service: a site, or an expression over sites. Immutable, compared by structure. Trees that
/// <see cref="ScopeParser"/> made are at most a few thousand nodes and a thousand levels (see <see cref="Bounds.ScopeDepthMax"/>).
/// </summary>
public abstract record Location
{
    private protected Location()
    {
    }

    /// <summary>The same location with <c>here</c> replaced by <paramref name="site"/>.</summary>
    public abstract Location WithHere(string site);

    /// <summary>Whether <c>here</c> stands anywhere in it.</summary>
    public abstract bool MentionsHere { get; }

    /// <summary>The canonical text; parsing it gives an equal tree.</summary>
    public sealed override string ToString() => ScopePrinter.Print(this);

    private protected static ImmutableArray<Location> Replace(ImmutableArray<Location> locations, string site)
    {
        var replaced = ImmutableArray.CreateBuilder<Location>(locations.Length);
        foreach (var location in locations)
            replaced.Add(location.WithHere(site));
        return replaced.MoveToImmutable();
    }

    private protected static bool AnyMentionsHere(ImmutableArray<Location> locations)
    {
        foreach (var location in locations)
        {
            if (location.MentionsHere)
                return true;
        }

        return false;
    }

    private protected static ImmutableArray<Location> AtLeastTwo(ImmutableArray<Location> locations) =>
        locations.Length >= 2 ? locations : throw new ArgumentException("An operator joins at least two locations.", nameof(locations));

    private protected static int HashOf(int seed, ImmutableArray<Location> locations)
    {
        var hash = new HashCode();
        hash.Add(seed);
        foreach (var location in locations)
            hash.Add(location);
        return hash.ToHashCode();
    }
}

/// <summary>One site by name; <c>here</c> stands for the site where the request came in.</summary>
/// <param name="Name">The site's name, or <see cref="HereName"/>.</param>
public sealed record SiteLocation(string Name) : Location
{
    /// <summary>The word that stands for the site where the request came in. No site can have it as its name in a scope.</summary>
    public const string HereName = "here";

    /// <summary>The location <c>here</c>.</summary>
    public static SiteLocation Here { get; } = new(HereName);

    /// <inheritdoc/>
    public override bool MentionsHere => Name == HereName;

    /// <inheritdoc/>
    public override SiteLocation WithHere(string site) => MentionsHere ? new SiteLocation(site) : this;
}

/// <summary><c>around(S, d)</c>: S, then every site within a round-trip time of it, nearest first, joined by <c>;</c>.</summary>
/// <param name="Center">The site the distance is measured from.</param>
/// <param name="Within">The longest round-trip time, from zero to <see cref="Bounds.ScopeDurationMaxMs"/>, inclusive.</param>
public sealed record AroundLocation(SiteLocation Center, TimeSpan Within) : Location
{
    /// <inheritdoc/>
    public override bool MentionsHere => Center.MentionsHere;

    /// <inheritdoc/>
    public override Location WithHere(string site) => MentionsHere ? this with { Center = Center.WithHere(site) } : this;
}

/// <summary><c>a ; b</c>, otherwise: the first location that works, left to right.</summary>
/// <param name="Alternatives">Two or more.</param>
public sealed record FirstLocation(ImmutableArray<Location> Alternatives) : Location
{
    /// <summary>Two or more locations, tried left to right.</summary>
    public ImmutableArray<Location> Alternatives { get; } = AtLeastTwo(Alternatives);

    /// <inheritdoc/>
    public override bool MentionsHere => AnyMentionsHere(Alternatives);

    /// <inheritdoc/>
    public override Location WithHere(string site) => MentionsHere ? new FirstLocation(Replace(Alternatives, site)) : this;

    /// <inheritdoc/>
    public bool Equals(FirstLocation? other) => other is not null && Alternatives.AsSpan().SequenceEqual(other.Alternatives.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(1, Alternatives);
}

/// <summary>
/// <c>a &amp; b</c>, replication by one operator. A chain of different operators groups from the left:
/// <c>a &amp; b &amp;&amp; c</c> is <c>(a &amp; b) &amp;&amp; c</c>.
/// </summary>
/// <param name="Operator">How the replicas are kept the same.</param>
/// <param name="Replicas">Two or more.</param>
public sealed record AllLocation(ReplicationOperator Operator, ImmutableArray<Location> Replicas) : Location
{
    /// <summary>Two or more locations, in the order written.</summary>
    public ImmutableArray<Location> Replicas { get; } = AtLeastTwo(Replicas);

    /// <inheritdoc/>
    public override bool MentionsHere => AnyMentionsHere(Replicas);

    /// <inheritdoc/>
    public override Location WithHere(string site) => MentionsHere ? new AllLocation(Operator, Replace(Replicas, site)) : this;

    /// <inheritdoc/>
    public bool Equals(AllLocation? other) =>
        other is not null && Operator == other.Operator && Replicas.AsSpan().SequenceEqual(other.Replicas.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(2 + (int)Operator, Replicas);
}

/// <summary><c>a % b</c>, cross: one resource spread over several locations.</summary>
/// <param name="Parts">Two or more.</param>
public sealed record SpreadLocation(ImmutableArray<Location> Parts) : Location
{
    /// <summary>Two or more locations, in the order written.</summary>
    public ImmutableArray<Location> Parts { get; } = AtLeastTwo(Parts);

    /// <inheritdoc/>
    public override bool MentionsHere => AnyMentionsHere(Parts);

    /// <inheritdoc/>
    public override Location WithHere(string site) => MentionsHere ? new SpreadLocation(Replace(Parts, site)) : this;

    /// <inheritdoc/>
    public bool Equals(SpreadLocation? other) => other is not null && Parts.AsSpan().SequenceEqual(other.Parts.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashOf(9, Parts);
}
