using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>What Cheops must know of an application's API (DESIGN.md section 9): data, never code. Immutable.</summary>
/// <param name="Name">The profile's name.</param>
/// <param name="Services">Its services by name; <c>*</c> stands for every service that no profile names.</param>
public sealed record Profile(string Name, FrozenDictionary<string, ServiceProfile> Services)
{
    /// <summary>The service name that stands for every other one.</summary>
    public const string AnyService = "*";
}

/// <summary>What is known of one service.</summary>
public sealed record ServiceProfile
{
    /// <summary>Its name, as in <c>CHEOPS_SERVICES</c>.</summary>
    public required string Name { get; init; }

    /// <summary>How its requests are told to belong to a workflow.</summary>
    public Correlation Correlation { get; init; } = Correlation.None;

    /// <summary>
    /// What becomes of a request to this service that carries no id and comes from a service which has requests of
    /// several scopes under way.
    /// </summary>
    public AmbiguityRule Ambiguous { get; init; }

    /// <summary>How another site acts for the user; a resource may say otherwise.</summary>
    public IdentityRule Identity { get; init; }

    /// <summary>Where it tells its version; null when it is not known.</summary>
    public VersionSource? Version { get; init; }

    /// <summary>Its kinds of resource, by name.</summary>
    public FrozenDictionary<string, ResourceProfile> Resources { get; init; } = FrozenDictionary<string, ResourceProfile>.Empty;

    /// <summary>The other services whose resources its own refer to.</summary>
    public ImmutableArray<string> RefersTo { get; init; } = [];

    /// <summary>Finds the resource that a path names.</summary>
    public PathMatcher Paths { get; init; } = PathMatcher.Empty;

    /// <summary>The same under the name that a service really has: what is known of every other service is called <c>*</c>.</summary>
    public ServiceProfile Named(string name) => name == Name ? this : this with { Name = name };
}

/// <summary>What becomes of a sub-request whose workflow cannot be told.</summary>
public enum AmbiguityRule
{
    /// <summary>It is refused.</summary>
    Refuse,
    /// <summary>It runs where it is, as if it had no scope.</summary>
    Local,
}

/// <summary>How another site acts for the user who sent a request (DESIGN.md section 7, Identity).</summary>
public enum IdentityRule
{
    /// <summary>The credential that came with the request is passed on.</summary>
    PassCredential,
    /// <summary>The site's agent asserts the user by a front proxy's certificate.</summary>
    FrontProxy,
    /// <summary>The site's agent uses a service credential of its own.</summary>
    ServiceCredential,
}
