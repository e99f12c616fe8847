using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;

namespace Cheops.Agent.Translation;

/// <summary>What is known of a place in a list.</summary>
internal sealed class KeyPlace
{
    /// <summary>Which value stands here; below zero for none.</summary>
    public int Slot { get; set; } = -1;

    /// <summary>Whether one resource stands here.</summary>
    public bool IsElement { get; set; }
}

/// <summary>Reads some values of each resource in a text.</summary>
internal sealed class ElementReader
{
    private readonly JsonTokenizer _tokens = new();
    private readonly JsonPlaces<KeyPlace> _places;
    private readonly string?[] _values;
    private bool _begun;
    private bool _isMalformed;

    /// <summary>A reader of so many values of each resource.</summary>
    public ElementReader(int count, FieldNode<KeyPlace> root)
    {
        _values = new string?[count];
        _places = new JsonPlaces<KeyPlace>(_tokens, root);
    }

    /// <summary>Takes the values of each resource.</summary>
    public Action<ImmutableArray<string?>> Found { get; init; } = _ => { };

    /// <summary>The values that were read last; null for those that are not there.</summary>
    public ImmutableArray<string?> Values => ImmutableCollectionsMarshal.AsImmutableArray<string?>([.. _values]);

    /// <summary>Whether the text has ended.</summary>
    public bool IsWhole => _begun && !_isMalformed && _tokens.Depth == 0;

    /// <summary>Takes the next piece of the text.</summary>
    public void Feed(ReadOnlySpan<byte> input)
    {
        var at = 0;
        while (!_isMalformed)
        {
            var token = _tokens.Next(input, ref at);
            if (token.Kind == JsonTokenKind.None) return;
            _begun = true;
            Take(token);
        }
    }

    private void Take(in JsonToken token)
    {
        switch (token.Kind)
        {
            case JsonTokenKind.Malformed:
                _isMalformed = true;
                break;
            case JsonTokenKind.Name:
                _places.Name(token.Bytes);
                break;
            case JsonTokenKind.LongName:
                _places.Member(null);
                break;
            case JsonTokenKind.StartObject or JsonTokenKind.StartArray:
                var place = _places.OfOpened;
                if (place?.Known.IsElement == true) Array.Clear(_values);
                _places.Enter(place);
                break;
            case JsonTokenKind.EndObject when _places.JustLeft?.Known.IsElement == true:
                Found(Values);
                break;
            case JsonTokenKind.String or JsonTokenKind.Number or JsonTokenKind.Literal when _places.OfValue?.Known.Slot is >= 0 and var slot:
                _values[slot] ??= TextOf(token);
                break;
        }
    }

    // A null is a value that is not there.
    private string? TextOf(in JsonToken token)
    {
        if (token.Kind == JsonTokenKind.Literal && token.Bytes[0] == 'n') return null;
        if (token.Kind != JsonTokenKind.String) return Encoding.UTF8.GetString(token.Bytes);
        return _places.TryUnescape(token.Bytes, out var text) ? Encoding.UTF8.GetString(text) : null;
    }
}
