using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Translates ids in a JSON body as it streams by, from any split of its bytes, in constant memory. What is not changed
/// passes byte for byte; malformed JSON passes as it is from there on. For one body.
/// </summary>
/// <remarks>
/// Changed are: the id of the resource, alone, in lists (<c>{"images": […]}</c>, <c>{"items": […]}</c>, <c>[…]</c>) and in
/// the events of a watch; references to other resources by the profile; and in any string that is a URL or a path of the
/// service, its ids. A number stays a number.
/// </remarks>
public sealed class JsonTranslator
{
    private readonly JsonTokenizer _tokens = new();
    private readonly JsonPlaces<IdPlace> _places;
    private readonly IdTranslator _ids;
    private readonly UrlTranslator _urls;
    private readonly BodyFields? _fields;
    private readonly ArrayBufferWriter<byte> _url = new(256);
    private readonly bool _passes;
    private readonly string _resource;
    private readonly byte[] _listName = [];

    private int _listDepth;
    private bool _isResource;

    /// <summary>A translator for one body.</summary>
    /// <param name="service">The service, under its own name (<see cref="ServiceProfile.Named"/>).</param>
    /// <param name="resource">What the body's path is about; null when the profile does not know it.</param>
    /// <param name="direction">Which way.</param>
    /// <param name="ids">The ids.</param>
    /// <param name="resourceName">The name by which <paramref name="ids"/> knows the resource, where that is not its name in the profile (<see cref="Conventions.ResourceName"/>).</param>
    public JsonTranslator(ServiceProfile service, ResourceProfile? resource, Direction direction, IIdMap ids, string? resourceName = null)
    {
        _ids = new IdTranslator(service, direction, ids);
        _urls = new UrlTranslator(_ids);
        _passes = !_ids.CanFindAny(resource);
        _resource = resourceName ?? resource?.Name ?? "";
        _fields = resource is null || _passes ? null : BodyFields.Of(resource);
        _places = new JsonPlaces<IdPlace>(_tokens, _fields?.Root);
        if (resourceName is not null) _listName = Encoding.UTF8.GetBytes(resourceName[(resourceName.LastIndexOf('/') + 1)..]);
    }

    /// <summary>Whether anything may be changed; false is certain: the body may as well be left as it is.</summary>
    public bool IsNeeded => !_passes;

    /// <summary>Translates the next piece of the body.</summary>
    public void Feed(ReadOnlySpan<byte> input, IBufferWriter<byte> output)
    {
        if (_passes)
        {
            output.Write(input);
            return;
        }

        var (at, copied) = (0, 0);
        while (true)
        {
            var token = _tokens.Next(input, ref at);
            if (token.Kind == JsonTokenKind.None)
            {
                output.Write(input[copied..token.Start]);
                return;
            }

            if (Follow(token) && TryValue(token, input[copied..token.Start], output))
            {
                copied = token.End;
            }
            else if (token.IsHeld)
            {
                output.Write(token.Bytes);
                copied = token.End;
            }

            if (token.Kind != JsonTokenKind.Malformed) continue;
            output.Write(input[copied..]);
            return;
        }
    }

    /// <summary>Ends the body: what was held of a token that never ended goes out as it is.</summary>
    public void Complete(IBufferWriter<byte> output) => output.Write(_tokens.Held);

    // Keeps track of where the token stands; true when it is a value that may be translated.
    private bool Follow(in JsonToken token)
    {
        switch (token.Kind)
        {
            case JsonTokenKind.Name:
                FollowName(token.Bytes);
                return false;
            case JsonTokenKind.LongName:
                _places.Member(null);
                return false;
            case JsonTokenKind.StartObject or JsonTokenKind.StartArray:
                Open(token.Kind == JsonTokenKind.StartArray);
                return false;
            case JsonTokenKind.EndObject or JsonTokenKind.EndArray:
                if (_tokens.Depth < _listDepth) _listDepth = 0;
                return false;
            case JsonTokenKind.String or JsonTokenKind.Number:
                return true;
            default:
                return false;
        }
    }

    private void FollowName(ReadOnlySpan<byte> quoted)
    {
        // By convention, the name of the list is not known from the profile but from the path.
        if (_places.Name(quoted) is not null || _listName.Length == 0 || _fields is null || _places.Around != _fields.Root) return;
        if (_places.TryUnescape(quoted, out var name) && name.SequenceEqual(_listName)) _places.Member(_fields.Root.Find("items"u8));
    }

    private void Open(bool isArray)
    {
        var depth = _tokens.Depth;
        var place = _places.OfOpened;
        if (depth == 1) (_isResource, _listDepth) = (false, 0);
        if (isArray && place?.Known.IsList == true && _listDepth == 0)
        {
            if (_isResource) place = null;
            else _listDepth = depth;
        }

        _places.Enter(place);
    }

    // ---- values -------------------------------------------------------------------------------------------------

    private bool TryValue(in JsonToken token, ReadOnlySpan<byte> before, IBufferWriter<byte> output)
    {
        var isNumber = token.Kind == JsonTokenKind.Number;
        var field = _places.OfValue?.Known.Id;
        if (field == IdField.Own && _listDepth == 0) _isResource = true;
        if (isNumber ? field is null || !JsonText.IsPlainInteger(token.Bytes) : field is null && !token.Bytes.Contains((byte)'/')) return false;

        var text = token.Bytes;
        if (!isNumber && !_places.TryUnescape(token.Bytes, out text)) return false;
        if (field is not null && _ids.TryTranslate(field.Service ?? _ids.Service.Name, field.Resource ?? _resource, text, out var id))
        {
            output.Write(before);
            WriteId(id, isNumber, output);
            return true;
        }

        _url.ResetWrittenCount();
        if (isNumber || !_urls.TryTranslate(text, _url)) return false;
        output.Write(before);
        JsonText.Write(_url.WrittenSpan, output);
        return true;
    }

    private static void WriteId(string id, bool asNumber, IBufferWriter<byte> output)
    {
        Span<byte> bytes = stackalloc byte[256];
        if (!Encoding.UTF8.TryGetBytes(id, bytes, out var length))
        {
            bytes = Encoding.UTF8.GetBytes(id);
            length = bytes.Length;
        }

        if (asNumber && JsonText.IsPlainInteger(bytes[..length])) output.Write(bytes[..length]);
        else JsonText.Write(bytes[..length], output);
    }
}
