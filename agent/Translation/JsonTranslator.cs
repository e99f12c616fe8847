using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;

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
    private readonly IdTranslator _ids;
    private readonly UrlTranslator _urls;
    private readonly BodyFields? _fields;
    private readonly ArrayBufferWriter<byte> _url = new(256);
    private readonly bool _passes;
    private readonly string _resource;
    private readonly byte[] _listName = [];

    // The places of the objects and lists that are open, as deep as the tree of fields.
    private BodyFields.Node?[] _open = new BodyFields.Node?[8];
    private BodyFields.Node? _member;
    private byte[] _scratch = [];
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
        if (resource is null || _passes) return;
        _fields = BodyFields.Of(resource);
        if (resourceName is not null) _listName = Encoding.UTF8.GetBytes(resourceName[(resourceName.LastIndexOf('/') + 1)..]);
    }

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
                _member = Find(Enclosing(_tokens.Depth), token.Bytes);
                return false;
            case JsonTokenKind.LongName:
                _member = null;
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

    private void Open(bool isArray)
    {
        var depth = _tokens.Depth;
        var place = PlaceOf(depth - 1, _tokens.IsArray(depth - 1));
        if (depth == 1) (_isResource, _listDepth) = (false, 0);
        if (isArray && (place?.IsList == true || depth == 1) && _listDepth == 0)
        {
            if (_isResource) place = null;
            else _listDepth = depth;
        }

        Push(depth, place);
    }

    // ---- places -------------------------------------------------------------------------------------------------

    private BodyFields.Node? Enclosing(int depth) => depth > 0 && depth <= _open.Length ? _open[depth - 1] : null;

    private BodyFields.Node? PlaceOf(int depth, bool inArray) =>
        depth == 0 ? _fields?.Root : inArray ? Enclosing(depth)?.Each : _member;

    private void Push(int depth, BodyFields.Node? place)
    {
        _member = null;
        if (depth > _open.Length)
        {
            if (place is null) return;
            Array.Resize(ref _open, 2 * depth);
        }

        _open[depth - 1] = place;
    }

    private BodyFields.Node? Find(BodyFields.Node? around, ReadOnlySpan<byte> quoted)
    {
        if (around is null || !JsonText.TryUnescape(quoted[1..^1], Scratch(quoted), out var name)) return null;
        var found = around.Find(name);
        return found is null && _listName.Length > 0 && around == _fields!.Root && name.SequenceEqual(_listName) ? around.Find("items"u8) : found;
    }

    // ---- values -------------------------------------------------------------------------------------------------

    private bool TryValue(in JsonToken token, ReadOnlySpan<byte> before, IBufferWriter<byte> output)
    {
        var isNumber = token.Kind == JsonTokenKind.Number;
        var field = PlaceOf(_tokens.Depth, _tokens.InArray)?.Target;
        if (field == IdField.Own && _listDepth == 0) _isResource = true;
        if (isNumber ? field is null || !JsonText.IsPlainInteger(token.Bytes) : field is null && !token.Bytes.Contains((byte)'/')) return false;

        var text = token.Bytes;
        if (!isNumber && !JsonText.TryUnescape(token.Bytes[1..^1], Scratch(token.Bytes), out text)) return false;
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

    private Span<byte> Scratch(ReadOnlySpan<byte> token)
    {
        if (_scratch.Length < token.Length) _scratch = new byte[Math.Min(Bounds.JsonTokenSizeMax, Math.Max(256, 2 * token.Length))];
        return _scratch;
    }
}
