using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>What a <see cref="BodyEdit"/> changes. Immutable, for any number of bodies.</summary>
public sealed class BodyChanges
{
    /// <summary>Changes to the JSON bodies of one kind of request.</summary>
    /// <param name="remove">Fields to take out: with <c>[]</c> of each element, and with it at the end every element.</param>
    /// <param name="set">A field to put in or to replace, by names alone; what is missing above it is made. Null for none.</param>
    /// <param name="value">What to set, as JSON: one value that is no object and no list.</param>
    /// <param name="keep">Values with which fields are not taken out.</param>
    /// <exception cref="ArgumentException"><paramref name="set"/> names elements, or <paramref name="value"/> is no such value.</exception>
    public BodyChanges(ImmutableArray<FieldPath> remove, FieldPath? set = null, ReadOnlyMemory<byte> value = default, params ReadOnlySpan<FieldValue> keep)
    {
        foreach (var field in remove)
        {
            Root.Reach(field.Segments[..^1]).Known.RemovesInside = true;
            Root.Reach(field.Segments).Known.IsRemoved = true;
        }

        foreach (var kept in keep) Root.Reach(kept.Field.Segments).Known.Kept = Encoding.UTF8.GetBytes(kept.Value);
        if (set is null) return;
        if (set.Segments.Contains(FieldPath.Each)) throw new ArgumentException("names elements", nameof(set));
        if (!IsScalar(value.Span)) throw new ArgumentException("is no single value", nameof(value));
        Root.Reach(set.Segments).Known.Value = value;
        for (var i = 0; i < set.Segments.Length; i++) Root.Reach(set.Segments[..i]).Known.Missing = set.Segments[i..];
        Value = value;
    }

    internal FieldNode<EditPlace> Root { get; } = new();

    internal ReadOnlyMemory<byte> Value { get; }

    private static bool IsScalar(ReadOnlySpan<byte> value)
    {
        var at = 0;
        var kind = new JsonTokenizer().Next([.. value, (byte)' '], ref at).Kind;
        return at == value.Length && kind is JsonTokenKind.String or JsonTokenKind.Number or JsonTokenKind.Literal;
    }
}

/// <summary>What is to be done at a place.</summary>
internal sealed class EditPlace
{
    /// <summary>Whether what stands here is taken out.</summary>
    public bool IsRemoved { get; set; }

    /// <summary>The string with which it is not taken out after all; null for none.</summary>
    public byte[]? Kept { get; set; }

    /// <summary>Whether something directly inside is.</summary>
    public bool RemovesInside { get; set; }

    /// <summary>What is put here; null for what is there.</summary>
    public ReadOnlyMemory<byte>? Value { get; set; }

    /// <summary>For an object: the names, of members inside one another, that lead to what is put in; empty for none.</summary>
    public ImmutableArray<string> Missing { get; set; } = [];
}
