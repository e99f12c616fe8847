using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Where the bodies of one kind of resource have ids, as a tree of names: in the representation of one resource, in each
/// element of a list of them, and in the events of a watch. Made once for each kind; immutable.
/// </summary>
internal sealed class BodyFields
{
    // Members under which lists of anything come.
    private static readonly ImmutableArray<string> ListNames = ["items", "results", "data", "rows"];

    // The member under which a watch event, or a row of a Kubernetes table, has the resource.
    private const string EventMember = "object";

    private static readonly ConditionalWeakTable<ResourceProfile, BodyFields> Known = [];

    private BodyFields(ResourceProfile resource)
    {
        var wrapper = WrapperOf(resource);
        var names = ListsOf(resource);
        foreach (var (path, target) in PathsOf(resource))
        {
            Add(Root, path, target);
            Add(Root.Child(EventMember), path, target);
            foreach (var list in names.Select(name => Root.Child(name)).Append(Root))
            {
                list.Known.IsList = true;
                AddElement(list.Element(), path, target, wrapper);
            }
        }
    }

    /// <summary>What a text begins with.</summary>
    public FieldNode<IdPlace> Root { get; } = new();

    /// <summary>The fields of a kind of resource.</summary>
    public static BodyFields Of(ResourceProfile resource) => Known.GetValue(resource, static resource => new BodyFields(resource));

    /// <summary>
    /// The member in which the bodies of one resource have all of it, such as <c>image</c> in <c>{"image": {"id": …}}</c>; in
    /// lists the elements go without. Null when there is none.
    /// </summary>
    public static string? WrapperOf(ResourceProfile resource)
    {
        if (resource.Id is not { Segments: [var first, _, ..] }) return null;
        var fields = resource.NaturalKey.Concat(resource.SiteSpecific).Concat(resource.Divisible).Concat(resource.References.Select(reference => reference.Field));

        // 'metadata' holds what is said about a resource, and is beside the rest of it.
        return first != "metadata" && fields.All(field => field.Segments is [var start, _, ..] && start == first) ? first : null;
    }

    /// <summary>The members under which lists of a kind of resource come.</summary>
    public static ImmutableArray<string> ListsOf(ResourceProfile resource) => [.. ListNames.AddRange(NamesOf(resource)).Distinct()];

    private static void AddElement(FieldNode<IdPlace> element, ImmutableArray<string> path, IdField target, string? wrapper)
    {
        Add(element, path, target);
        Add(element.Child(EventMember), path, target);
        if (wrapper is not null) Add(element, path[1..], target);
    }

    private static IEnumerable<(ImmutableArray<string> Path, IdField Target)> PathsOf(ResourceProfile resource)
    {
        if (resource.Id is { } id) yield return (id.Segments, IdField.Own);
        else foreach (var path in Conventions.IdPaths) yield return (path, IdField.Own);
        foreach (var reference in resource.References)
            yield return (reference.Field.Segments, new IdField(reference.Service == Profile.AnyService ? null : reference.Service, reference.Resource));
    }

    // '/v2.1/os-server-groups' is listed as 'server_groups'.
    private static IEnumerable<string> NamesOf(ResourceProfile resource)
    {
        yield return resource.Name;
        var last = resource.Collection.Segments[^1];
        if (last == PathTemplate.VariableSegment) yield break;
        yield return last;
        var snake = last.Replace('-', '_');
        yield return snake;
        if (snake.StartsWith("os_", StringComparison.Ordinal)) yield return snake[3..];
    }

    private static void Add(FieldNode<IdPlace> from, ImmutableArray<string> path, IdField id) => from.Reach(path).Known.Id ??= id;
}

/// <summary>What is known of a place in a body.</summary>
internal sealed class IdPlace
{
    /// <summary>The id that stands here; null when there is none.</summary>
    public IdField? Id { get; set; }

    /// <summary>Whether a list of resources may stand here, unless the text around it is itself a resource.</summary>
    public bool IsList { get; set; }
}

/// <summary>An id in a body: whose it is.</summary>
/// <param name="Service">The service; null for the one whose body it is.</param>
/// <param name="Resource">The resource's name; null for the one whose body it is.</param>
internal sealed record IdField(string? Service, string? Resource)
{
    /// <summary>The id of the resource itself.</summary>
    public static IdField Own { get; } = new(null, null);
}
