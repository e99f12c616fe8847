using System.Collections.Immutable;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>Searches one list, as it streams by, for resources with a <see cref="NaturalKey"/>.</summary>
public sealed class NaturalKeySearch
{
    private readonly ElementReader _reader;
    private readonly ImmutableArray<string?> _values;
    private readonly int _idSlot;
    private readonly Predicate<string> _isAnothers;
    private readonly List<string> _ids = [];

    internal NaturalKeySearch(ResourceProfile resource, ImmutableArray<string?> values, Predicate<string> isAnothers)
    {
        (_values, _isAnothers) = (values, isAnothers);
        _idSlot = values.Length;
        var wrapper = BodyFields.WrapperOf(resource);
        var root = new FieldNode<KeyPlace>();
        foreach (var list in BodyFields.ListsOf(resource).Select(root.Child).Append(root))
        {
            var element = list.Element();
            element.Known.IsElement = true;
            NaturalKey.Place(element, resource, wrapper);
            foreach (var path in resource.Id is { } id ? [id.Segments] : Conventions.IdPaths)
            {
                element.Reach(path).Known.Slot = _idSlot;
                if (wrapper is not null) element.Reach(path[1..]).Known.Slot = _idSlot;
            }
        }

        _reader = new ElementReader(_idSlot + 1, root) { Found = Compare };
    }

    /// <summary>
    /// Ids of the resources that have the key: none, one, or, where the key does not tell them apart, two, even if there are
    /// more.
    /// </summary>
    public IReadOnlyList<string> Ids => _ids;

    /// <summary>Whether the list was read to its end: only then is one that was not found surely not there.</summary>
    public bool IsWhole => _reader.IsWhole;

    /// <summary>Takes the next piece of the list.</summary>
    public void Feed(ReadOnlySpan<byte> input) => _reader.Feed(input);

    private void Compare(ImmutableArray<string?> element)
    {
        // A field that the request did not have, the service may have filled in.
        for (var i = 0; i < _values.Length; i++)
        {
            if (_values[i] is { } wanted && wanted != element[i]) return;
        }

        if (element[_idSlot] is { } id && _ids.Count < 2 && !_isAnothers(id)) _ids.Add(id);
    }
}
