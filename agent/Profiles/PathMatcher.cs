using System.Text;

namespace Cheops.Agent.Profiles;

/// <summary>
/// Finds the resource that a request's path names. A tree by segments; of several templates that fit, the one with a
/// literal where the others have a variable wins, from left to right. A path that continues below an item is an action
/// of the item that reaches deepest. Allocates nothing; immutable once built; safe from any thread.
/// </summary>
/// <remarks>
/// The path is compared byte for byte as it came; one trailing slash is disregarded. Who must not be evaded by
/// percent-encoded spellings of the same path normalizes it first.
/// </remarks>
public sealed class PathMatcher
{
    private readonly Node _root = new();
    private ResourceProfile? _convention;

    /// <summary>A matcher that knows no path.</summary>
    public static PathMatcher Empty { get; } = new();

    /// <summary>Adds a resource's paths.</summary>
    /// <returns>The resource that has one of these paths already; null when there is none.</returns>
    internal ResourceProfile? Add(ResourceProfile resource)
    {
        if (resource.Collection.IsConvention)
        {
            var before = _convention;
            _convention = resource;
            return before;
        }

        var collection = Reach(resource.Collection.Segments.AsSpan());
        var item = Reach(resource.Item.Segments.AsSpan());
        if ((collection.Terminal ?? item.Terminal) is { } taken)
            return taken.Resource;
        collection.Terminal = new Terminal(PathKind.Collection, resource, resource.Collection);
        item.Terminal = new Terminal(PathKind.Item, resource, resource.Item);
        foreach (var action in resource.Actions.Keys)
        {
            var below = Reach(action[1..].Split('/'), item);
            below.Terminal ??= new Terminal(PathKind.Action, resource, resource.Item);
        }

        return null;
    }

    /// <summary>Finds what a path names.</summary>
    /// <param name="path">The path as it came, without query, starting with a slash.</param>
    public PathMatch Match(ReadOnlySpan<byte> path)
    {
        if (path.Length > 1 && path[^1] == '/')
            path = path[..^1];
        if (path.Length < 2 || path[0] != '/')
            return default;
        var search = new Search(path);
        if (search.Descend(_root, 0, 0))
            return search.Found();
        return search.HasItem ? search.FoundBelow() : MatchConvention(path);
    }

    private PathMatch MatchConvention(ReadOnlySpan<byte> path)
    {
        if (_convention is null)
            return default;
        var last = path.LastIndexOf((byte)'/');
        var variables = default(PathMatch.Ranges);
        variables[0] = (1, Math.Max(0, last - 1));
        variables[1] = (last + 1, path.Length - last - 1);
        return new PathMatch(path, PathKind.Convention, _convention, _convention.Item, variables, path.Length);
    }

    private Node Reach(ReadOnlySpan<string> segments, Node? from = null)
    {
        var node = from ?? _root;
        foreach (var segment in segments)
            node = segment == PathTemplate.VariableSegment ? node.Variable ??= new Node() : node.Child(segment);
        return node;
    }

    private sealed record Terminal(PathKind Kind, ResourceProfile Resource, PathTemplate Template);

    private sealed class Node
    {
        private readonly List<(byte[] Segment, Node Node)> _children = [];

        public Node? Variable { get; set; }

        public Terminal? Terminal { get; set; }

        public Node Child(string segment)
        {
            var bytes = Encoding.UTF8.GetBytes(segment);
            if (Find(bytes) is { } child)
                return child;
            var added = new Node();
            _children.Add((bytes, added));
            return added;
        }

        // A few dozen children at most; comparing lengths first makes this faster than hashing.
        public Node? Find(ReadOnlySpan<byte> segment)
        {
            foreach (var (bytes, node) in _children)
            {
                if (bytes.Length == segment.Length && segment.SequenceEqual(bytes))
                    return node;
            }

            return null;
        }
    }

    // Depth-first, literals before variables. Backtracking is bounded by two branches a segment and the templates' depth.
    private ref struct Search(ReadOnlySpan<byte> path)
    {
        private readonly ReadOnlySpan<byte> _path = path;
        private PathMatch.Ranges _variables;
        private Terminal? _found;
        private int _foundEnd;
        private Terminal? _item;
        private PathMatch.Ranges _itemVariables;
        private int _itemEnd;

        public readonly bool HasItem => _item is not null;

        public readonly PathMatch Found() =>
            new(_path, _found!.Kind, _found.Resource, _found.Template, _variables, _found.Kind == PathKind.Action ? _foundEnd : _path.Length);

        public readonly PathMatch FoundBelow() =>
            new(_path, PathKind.Action, _item!.Resource, _item.Template, _itemVariables, _itemEnd);

        // 'start' is at the slash before the next segment, or at the end; 'itemEnd' is kept for actions, whose item ended higher up.
        public bool Descend(Node node, int start, int variableCount, int itemEnd = 0)
        {
            if (node.Terminal?.Kind == PathKind.Item)
                itemEnd = start;
            if (start == _path.Length)
            {
                (_found, _foundEnd) = (node.Terminal, itemEnd);
                return node.Terminal is not null;
            }

            if (node.Terminal?.Kind == PathKind.Item && start > _itemEnd)
                (_item, _itemVariables, _itemEnd) = (node.Terminal, _variables, start);
            var rest = _path[(start + 1)..];
            var length = rest.IndexOf((byte)'/') is >= 0 and var slash ? slash : rest.Length;
            var next = start + 1 + length;
            if (node.Find(rest[..length]) is { } child && Descend(child, next, variableCount, itemEnd))
                return true;
            if (node.Variable is not { } variable || length == 0)
                return false;
            _variables[variableCount] = (start + 1, length);
            return Descend(variable, next, variableCount + 1, itemEnd);
        }
    }
}
