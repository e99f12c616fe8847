using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>Follows a JSON text's tokens through a tree of places. Keeps as many as the tree is deep.</summary>
/// <param name="tokens">Where the tokens come from.</param>
/// <param name="root">The place of each text as a whole; null to know none.</param>
internal sealed class JsonPlaces<T>(JsonTokenizer tokens, FieldNode<T>? root) where T : class, new()
{
    private FieldNode<T>?[] _open = new FieldNode<T>?[8];
    private FieldNode<T>? _member;
    private byte[] _scratch = [];

    /// <summary>The place of the innermost object or list that is open; null when there is none, or nothing to find in it.</summary>
    public FieldNode<T>? Around => At(tokens.Depth);

    /// <summary>The place of a string, number or literal that was just read.</summary>
    public FieldNode<T>? OfValue => Inside(tokens.Depth);

    /// <summary>The place of an object or list that was just begun; <see cref="Enter"/> has still to be told.</summary>
    public FieldNode<T>? OfOpened => Inside(tokens.Depth - 1);

    /// <summary>The place of an object or list that was just ended.</summary>
    public FieldNode<T>? JustLeft => At(tokens.Depth + 1);

    /// <summary>Takes a member's name: the value that comes stands at the place that is given back.</summary>
    public FieldNode<T>? Name(ReadOnlySpan<byte> quoted) => _member = Around is { } around && TryUnescape(quoted, out var name) ? around.Find(name) : null;

    /// <summary>Says where the value that comes stands.</summary>
    public void Member(FieldNode<T>? place) => _member = place;

    /// <summary>Says where the object or list that was just begun stands.</summary>
    public void Enter(FieldNode<T>? place)
    {
        _member = null;
        var depth = tokens.Depth;
        if (depth > _open.Length)
        {
            if (place is null) return;
            Array.Resize(ref _open, 2 * depth);
        }

        _open[depth - 1] = place;
    }

    /// <summary>Takes quotes and escapes off a string or a name; valid until the next call. False when it is no text.</summary>
    public bool TryUnescape(ReadOnlySpan<byte> quoted, out ReadOnlySpan<byte> text)
    {
        if (_scratch.Length < quoted.Length) _scratch = new byte[Math.Min(Bounds.JsonTokenSizeMax, Math.Max(256, 2 * quoted.Length))];
        return JsonText.TryUnescape(quoted[1..^1], _scratch, out text);
    }

    private FieldNode<T>? At(int depth) => depth > 0 && depth <= _open.Length ? _open[depth - 1] : null;

    private FieldNode<T>? Inside(int depth) => depth == 0 ? root : tokens.IsArray(depth) ? At(depth)?.Each : _member;
}
