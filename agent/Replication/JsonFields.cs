using System.Text.Json;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Replication;

/// <summary>Looks at JSON bodies that are small enough to be held.</summary>
internal static class JsonFields
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 128 };

    /// <summary>Reads a document; null when it is none.</summary>
    public static JsonDocument? Parse(ReadOnlyMemory<byte> json)
    {
        if (json.IsEmpty) return null;
        try
        {
            return JsonDocument.Parse(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The value of a field; false when it is not there. A path through an array takes its first element.</summary>
    public static bool TryFind(JsonElement root, FieldPath path, out JsonElement value)
    {
        value = root;
        foreach (var segment in path.Segments)
        {
            if (segment == FieldPath.Each)
            {
                if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0) return false;
                value = value[0];
            }
            else if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(segment, out value))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The value of a field that is a string or a number, as text; null when it is not there, or something else.</summary>
    public static string? Text(JsonElement root, FieldPath path) => TryFind(root, path, out var value) ? Text(value) : null;

    /// <summary>A string or a number as text; null for anything else.</summary>
    public static string? Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        _ => null,
    };

    /// <summary>The elements of a list answer: the document itself, or the first member of it that is an array of objects.</summary>
    public static IEnumerable<JsonElement> Elements(JsonElement root)
    {
        if (root.ValueKind == JsonValueKind.Array) return root.EnumerateArray();
        if (root.ValueKind != JsonValueKind.Object) return [];
        foreach (var member in root.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.Array && (member.Value.GetArrayLength() == 0 || member.Value[0].ValueKind == JsonValueKind.Object))
                return member.Value.EnumerateArray();
        }

        return [];
    }

    /// <summary>
    /// Whether everything that <paramref name="part"/> says holds in <paramref name="whole"/>: members of objects one by one
    /// (a null also when it is not there), everything else as it is.
    /// </summary>
    public static bool Covers(JsonElement whole, JsonElement part)
    {
        if (part.ValueKind == JsonValueKind.Null && whole.ValueKind == JsonValueKind.Undefined) return true;
        if (whole.ValueKind != part.ValueKind) return false;
        return part.ValueKind switch
        {
            JsonValueKind.Object => part.EnumerateObject().All(member =>
                whole.TryGetProperty(member.Name, out var value) ? Covers(value, member.Value) : member.Value.ValueKind == JsonValueKind.Null),
            JsonValueKind.Array => whole.GetArrayLength() == part.GetArrayLength()
                && whole.EnumerateArray().Zip(part.EnumerateArray()).All(pair => Covers(pair.First, pair.Second)),
            JsonValueKind.String => whole.ValueEquals(part.GetString()),
            _ => whole.GetRawText() == part.GetRawText(),
        };
    }
}
