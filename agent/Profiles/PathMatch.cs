using System.Runtime.CompilerServices;

namespace Cheops.Agent.Profiles;

/// <summary>What a path names.</summary>
public enum PathKind
{
    /// <summary>Nothing that the profile knows.</summary>
    None,
    /// <summary>A collection: where resources of the kind are listed and created.</summary>
    Collection,
    /// <summary>One resource.</summary>
    Item,
    /// <summary>A path below one resource.</summary>
    Action,
    /// <summary>
    /// By REST convention alone, where a path does not tell: a collection if it is created in (POST), else a resource
    /// whose id is the last segment.
    /// </summary>
    Convention,
}

/// <summary>What <see cref="PathMatcher"/> found; it refers into the path it was found in.</summary>
public readonly ref struct PathMatch
{
    /// <summary>Most variables of one path.</summary>
    public const int VariableCountMax = 8;

    private readonly ReadOnlySpan<byte> _path;
    private readonly Ranges _variables;

    internal PathMatch(
        ReadOnlySpan<byte> path, PathKind kind, ResourceProfile resource, PathTemplate template, scoped in Ranges variables, int actionStart)
    {
        _path = path;
        _variables = variables;
        (Kind, Resource, Template) = (kind, resource, template);
        Action = path[actionStart..];
    }

    /// <summary>What the path names.</summary>
    public PathKind Kind { get; }

    /// <summary>The kind of resource; null for <see cref="PathKind.None"/>.</summary>
    public ResourceProfile? Resource { get; }

    /// <summary>The template that matched; null for <see cref="PathKind.None"/>.</summary>
    public PathTemplate? Template { get; }

    /// <summary>The path below the item with its leading slash; empty unless <see cref="PathKind.Action"/>.</summary>
    public ReadOnlySpan<byte> Action { get; }

    /// <summary>The id as it stands in the path, percent-encoded; empty for a collection.</summary>
    public ReadOnlySpan<byte> Id => Variable("id");

    /// <summary>A variable as it stands in the path, percent-encoded; empty when the template has none of that name.</summary>
    public ReadOnlySpan<byte> Variable(string name)
    {
        var index = Template is null ? -1 : Template.Variables.IndexOf(name);
        return index < 0 ? default : _path.Slice(_variables[index].Start, _variables[index].Length);
    }

    /// <summary>The variables' places in the path.</summary>
    [InlineArray(VariableCountMax)]
    internal struct Ranges
    {
        private (int Start, int Length) _first;
    }
}
