using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Finds resources by their natural key, to tell whether a create in doubt was carried out: reads the key from the request,
/// and compares it with each element of a list that streams by.
/// </summary>
public sealed class NaturalKey
{
    private readonly ResourceProfile _resource;
    private readonly ImmutableArray<string?> _values;

    private NaturalKey(ResourceProfile resource, ImmutableArray<string?> values) => (_resource, _values) = (resource, values);

    /// <summary>Reads the key from the body of a create.</summary>
    /// <param name="resource">The kind of resource.</param>
    /// <param name="request">The body, in JSON.</param>
    /// <returns>Null when the profile names no key, or the request has none of its fields: then nothing tells.</returns>
    public static NaturalKey? Of(ResourceProfile resource, ReadOnlySpan<byte> request)
    {
        if (resource.NaturalKey.IsEmpty) return null;
        var root = new FieldNode<KeyPlace>();
        Place(root, resource, wrapper: null);
        var reader = new ElementReader(resource.NaturalKey.Length, root);
        reader.Feed(request);
        return reader.IsWhole && reader.Values.Any(value => value is not null) ? new NaturalKey(resource, reader.Values) : null;
    }

    /// <summary>The target that lists resources which may have the key.</summary>
    /// <param name="match">What the create's path names, for the collection's variables.</param>
    /// <param name="path">The create's path, as it was sent.</param>
    public string Target(in PathMatch match, ReadOnlySpan<byte> path)
    {
        if (_resource.Lookup is not { } lookup) return Encoding.ASCII.GetString(path);
        var variables = new Dictionary<string, string>();
        foreach (var name in _resource.Collection.Variables)
        {
            var value = match.Variable(name);
            variables[name] = Encoding.UTF8.GetString(PercentEncoding.Decode(value, new byte[value.Length]));
        }

        return lookup.Fill(name => variables.TryGetValue(name, out var value) ? value : ValueOf(name)) ?? Encoding.ASCII.GetString(path);
    }

    /// <summary>A reader for one list.</summary>
    /// <param name="isAnothers">Of which ids it is known that they are something else's; null for none.</param>
    public NaturalKeySearch Search(Predicate<string>? isAnothers = null) => new(_resource, _values, isAnothers ?? (static _ => false));

    private string? ValueOf(string name)
    {
        for (var i = 0; i < _values.Length; i++)
        {
            if (_resource.NaturalKey[i].Segments[^1] == name) return _values[i];
        }

        return null;
    }

    internal static void Place(FieldNode<KeyPlace> element, ResourceProfile resource, string? wrapper)
    {
        for (var i = 0; i < resource.NaturalKey.Length; i++)
        {
            var path = resource.NaturalKey[i].Segments;
            element.Reach(path).Known.Slot = i;
            if (wrapper is not null) element.Reach(path[1..]).Known.Slot = i;
        }
    }
}
