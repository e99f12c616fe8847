using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>A place in JSON texts, in a tree of the names that lead there. Immutable once built.</summary>
/// <typeparam name="T">What is known of a place.</typeparam>
internal sealed class FieldNode<T> where T : class, new()
{
    private readonly List<(byte[] Name, FieldNode<T> Node)> _children = [];

    /// <summary>What is known of the place.</summary>
    public T Known { get; } = new();

    /// <summary>What the elements of a list here are; null when there is nothing to find in them.</summary>
    public FieldNode<T>? Each { get; private set; }

    /// <summary>The place of a member; null when there is nothing to find in it.</summary>
    public FieldNode<T>? Find(ReadOnlySpan<byte> name)
    {
        foreach (var (known, node) in _children)
        {
            if (known.Length == name.Length && name.SequenceEqual(known)) return node;
        }

        return null;
    }

    /// <summary>The place of a member, made when it is not there.</summary>
    public FieldNode<T> Child(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        if (Find(bytes) is { } known) return known;
        var added = new FieldNode<T>();
        _children.Add((bytes, added));
        return added;
    }

    /// <summary>The place of elements, made when it is not there.</summary>
    public FieldNode<T> Element() => Each ??= new FieldNode<T>();

    /// <summary>The place at the end of a path (<see cref="FieldPath.Segments"/>), made when it is not there.</summary>
    public FieldNode<T> Reach(ImmutableArray<string> path)
    {
        var node = this;
        foreach (var segment in path) node = segment == FieldPath.Each ? node.Element() : node.Child(segment);
        return node;
    }
}
