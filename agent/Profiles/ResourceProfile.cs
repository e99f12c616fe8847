using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>What is known of one kind of resource.</summary>
public sealed record ResourceProfile
{
    /// <summary>Its name in the profile, such as <c>images</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The path where resources are listed and created.</summary>
    public required PathTemplate Collection { get; init; }

    /// <summary>The path of one resource; it ends in <c>{id}</c>.</summary>
    public required PathTemplate Item { get; init; }

    /// <summary>Where the answer to a create has the id; null for the conventions (<c>Location</c>, <c>id</c>, <c>uuid</c>, <c>metadata.name</c>).</summary>
    public FieldPath? Id { get; init; }

    /// <summary>Who chooses the id.</summary>
    public IdChooser IdChosenBy { get; init; }

    /// <summary>Whether ids are UUIDs, with or without dashes: another word in an item's path is a name that a client tries, and no id.</summary>
    public bool HasUuids { get; init; }

    /// <summary>Fields that together tell one resource from another when a create is in doubt.</summary>
    public ImmutableArray<FieldPath> NaturalKey { get; init; } = [];

    /// <summary>
    /// The target that lists the resources with a natural key; null to list the collection. Either way each element's fields are
    /// compared.
    /// </summary>
    public LookupTemplate? Lookup { get; init; }

    /// <summary>Fields that refer to other resources.</summary>
    public ImmutableArray<ResourceReference> References { get; init; } = [];

    /// <summary>Whether it may be shared across sites.</summary>
    public Visibility Visibility { get; init; }

    /// <summary>Fields that belong to a site and are not copied to others.</summary>
    public ImmutableArray<FieldPath> SiteSpecific { get; init; } = [];

    /// <summary>Values of fields in <see cref="SiteSpecific"/> that a client chose for all sites: with these they are copied.</summary>
    public ImmutableArray<FieldValue> SiteSpecificExcept { get; init; } = [];

    /// <summary>Fields that can be divided between sites by a cross.</summary>
    public ImmutableArray<FieldPath> Divisible { get; init; } = [];

    /// <summary>Paths below an item, each with its leading slash, and what becomes of requests to them.</summary>
    public FrozenDictionary<string, ActionRule> Actions { get; init; } = FrozenDictionary<string, ActionRule>.Empty;

    /// <summary>Marks by which a request says that it changes nothing: it is never replicated.</summary>
    public ImmutableArray<RequestMark> Never { get; init; } = [];

    /// <summary>How another site acts for the user.</summary>
    public IdentityRule Identity { get; init; }

    /// <summary>Kinds of operation beyond create, update and delete, and marks on requests.</summary>
    public ImmutableArray<OperationProfile> Operations { get; init; } = [];

    /// <summary>How two operations made apart are merged, for each ordered pair of kinds.</summary>
    public FrozenDictionary<(string First, string Second), Resolution> Resolution { get; init; } =
        FrozenDictionary<(string First, string Second), Resolution>.Empty;
}

/// <summary>Who chooses the id of a new resource.</summary>
public enum IdChooser
{
    /// <summary>The service.</summary>
    Service,
    /// <summary>The client may, in the field <see cref="ResourceProfile.Id"/> of the request.</summary>
    Client,
}

/// <summary>Whether a resource may be shared across sites.</summary>
public enum Visibility
{
    /// <summary>It may.</summary>
    Global,
    /// <summary>It belongs to its site; a scope that would share it is refused before anything happens.</summary>
    Local,
    /// <summary>Nothing is made that could be shared, such as by asking whether something is allowed: a request is carried out where it is.</summary>
    None,
}

/// <summary>What becomes of requests to a path below an item.</summary>
public enum ActionRule
{
    /// <summary>An operation of its own, on the item.</summary>
    Operation,
    /// <summary>Never replicated: it runs where it is.</summary>
    Never,
    /// <summary>It changes the item at its site alone: refused where the item is a replicant, or is to be shared.</summary>
    Local,
}

/// <summary>A mark by which a request says that it changes nothing, such as <c>?dryRun=All</c>.</summary>
/// <param name="Name">The parameter of the query; empty for a field of the body.</param>
/// <param name="Field">The field of the body; null for a parameter of the query.</param>
/// <param name="Value">The value that it has.</param>
public sealed record RequestMark(string Name, FieldPath? Field, string Value)
{
    /// <summary>Reads <c>?parameter=value</c> or <c>field=value</c>; null when it is neither.</summary>
    public static RequestMark? Parse(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals < 1 || equals == text.Length - 1) return null;
        var (name, value) = (text[..equals], text[(equals + 1)..]);
        if (name[0] == '?') return name.Length > 1 ? new RequestMark(name[1..], null, value) : null;
        return FieldPath.Parse(name) is { } field ? new RequestMark("", field, value) : null;
    }
}

/// <summary>A field that refers to another resource.</summary>
/// <param name="Field">The field.</param>
/// <param name="Service">The other resource's service.</param>
/// <param name="Resource">The other resource's kind.</param>
/// <param name="Dependency">What it is needed for.</param>
public sealed record ResourceReference(FieldPath Field, string Service, string Resource, Dependency Dependency);

/// <summary>What another resource is needed for.</summary>
public enum Dependency
{
    /// <summary>During an operation.</summary>
    Requirement,
    /// <summary>As long as the resource lives.</summary>
    Reliance,
    /// <summary>It is created and deleted with its owner.</summary>
    Composition,
}

/// <summary>A kind of operation: which requests are of it, and whether they may be repeated.</summary>
/// <param name="Kind">Its name, also in <see cref="ResourceProfile.Resolution"/>.</param>
/// <param name="Method">The method.</param>
/// <param name="Action">The path below the item with its leading slash; empty for the item itself.</param>
/// <param name="ContentTypes">Media types in lower case without parameters; empty for any.</param>
/// <param name="Idempotent">Whether carrying it out twice is as once.</param>
public sealed record OperationProfile(string Kind, string Method, string Action, ImmutableArray<string> ContentTypes, bool Idempotent)
{
    /// <summary>The kinds that every resource has.</summary>
    public static ImmutableArray<string> BasicKinds { get; } = ["create", "update", "delete"];
}

/// <summary>How an ordered pair of operations that were made apart is merged.</summary>
public enum Resolution
{
    /// <summary>Both, in any order.</summary>
    Both,
    /// <summary>Only the first of the pair.</summary>
    First,
    /// <summary>Only the second of the pair.</summary>
    Second,
    /// <summary>Both, in this order.</summary>
    InOrder,
    /// <summary>Both, in reverse order.</summary>
    Reverse,
}
