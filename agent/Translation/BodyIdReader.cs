using System.Collections.Immutable;
using System.Text;
using System.Text.Unicode;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>
/// Finds a resource's id in a body of its own as it streams by: in the answer to a create, or in the request, where the client
/// chose it. JSON of any size in constant memory; of Kubernetes' protobuf the first
/// <see cref="Bounds.ProtobufPrefixSizeMax"/> bytes. For one body.
/// </summary>
public sealed class BodyIdReader
{
    private readonly JsonTokenizer _tokens = new();
    private readonly JsonPlaces<Wanted> _places;
    private readonly FieldNode<Wanted> _root = new();
    private readonly FieldNode<Wanted>? _byProfile;
    private readonly bool _isMetadataName;
    private readonly List<byte> _prefix = [];
    private KubernetesObject? _object;
    private bool? _isProtobuf;
    private bool _isDone;

    /// <summary>A reader for one body.</summary>
    /// <param name="resource">The kind of resource whose body it is.</param>
    public BodyIdReader(ResourceProfile resource)
    {
        _byProfile = resource.Id is { } id ? _root.Reach(id.Segments) : null;
        _isMetadataName = resource.Id is null || resource.Id.Text == "metadata.name";
        foreach (var path in Conventions.IdPaths) _root.Reach(path);
        _root.Reach(GenerateName);
        _places = new JsonPlaces<Wanted>(_tokens, _root);
    }

    private static ImmutableArray<string> GenerateName => ["metadata", "generateName"];

    /// <summary>The id where the profile says it is; null when it says nothing, or nothing is there.</summary>
    public string? ByProfile => _object is not null ? NonEmpty(_isMetadataName ? _object.Name : "") : _byProfile?.Known.Text;

    /// <summary>The id where resources have it by convention; null when it is not there.</summary>
    public string? ByConvention => _object is not null
        ? NonEmpty(_object.Name)
        : Conventions.IdPaths.Select(path => _root.Reach(path).Known.Text).FirstOrDefault(text => text is not null);

    /// <summary>
    /// What the name is to begin with that a request leaves to be made (<c>metadata.generateName</c> without a name); empty when it
    /// leaves none.
    /// </summary>
    public string NamePrefix => ByConvention is not null || ByProfile is not null ? "" : _object?.GenerateName ?? _root.Reach(GenerateName).Known.Text ?? "";

    /// <summary>Takes the next piece of the body.</summary>
    public void Feed(ReadOnlySpan<byte> input)
    {
        if (_isDone || input.IsEmpty) return;
        _isProtobuf ??= input[0] == KubernetesObject.Magic[0];
        if (_isProtobuf.Value) FeedProtobuf(input);
        else FeedJson(input);
    }

    private void FeedProtobuf(ReadOnlySpan<byte> input)
    {
        _prefix.AddRange(input[..Math.Min(input.Length, Bounds.ProtobufPrefixSizeMax - _prefix.Count)]);
        _object = KubernetesObject.Read(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_prefix));
        _isDone = _object?.Name.Length > 0 || _prefix.Count == Bounds.ProtobufPrefixSizeMax;
    }

    private void FeedJson(ReadOnlySpan<byte> input)
    {
        var at = 0;
        while (!_isDone)
        {
            var token = _tokens.Next(input, ref at);
            switch (token.Kind)
            {
                case JsonTokenKind.None:
                    return;
                case JsonTokenKind.Malformed:
                    _isDone = true;
                    return;
                case JsonTokenKind.Name:
                    _places.Name(token.Bytes);
                    break;
                case JsonTokenKind.LongName:
                    _places.Member(null);
                    break;
                case JsonTokenKind.StartObject or JsonTokenKind.StartArray:
                    _places.Enter(_places.OfOpened);
                    break;
                case JsonTokenKind.String or JsonTokenKind.Number when _places.OfValue is { } place:
                    Take(token, place.Known);
                    break;
            }

            // One text is one resource.
            _isDone = _tokens.Depth == 0;
        }
    }

    private void Take(in JsonToken token, Wanted wanted)
    {
        if (wanted.Text is not null) return;
        if (token.Kind == JsonTokenKind.Number)
        {
            if (JsonText.IsPlainInteger(token.Bytes)) wanted.Text = Encoding.UTF8.GetString(token.Bytes);
        }
        else if (_places.TryUnescape(token.Bytes, out var text) && text.Length is > 0 and <= Bounds.LocalIdSizeMax && Utf8.IsValid(text))
        {
            wanted.Text = Encoding.UTF8.GetString(text);
        }
    }

    private static string? NonEmpty(string text) => text.Length > 0 ? text : null;

    private sealed class Wanted
    {
        /// <summary>What was found; null before.</summary>
        public string? Text { get; set; }
    }
}
