using System.Text.Json;

namespace Cheops.Agent.Translation;

/// <summary>Compares what a request says of a resource with the resource.</summary>
public static class Representation
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 128 };

    /// <summary>
    /// Whether everything that <paramref name="sent"/> says holds of <paramref name="seen"/>: members of objects one by one (a
    /// null also when it is not there), everything else as it is.
    /// </summary>
    /// <param name="seen">A representation of the resource.</param>
    /// <param name="sent">The body of a request: a representation, or a merge patch.</param>
    /// <returns>Null when one of them is no JSON: then nothing is told.</returns>
    public static bool? Covers(ReadOnlyMemory<byte> seen, ReadOnlyMemory<byte> sent)
    {
        if (seen.IsEmpty || sent.IsEmpty) return null;
        try
        {
            using var whole = JsonDocument.Parse(seen, Options);
            using var part = JsonDocument.Parse(sent, Options);
            return Covers(whole.RootElement, part.RootElement);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static bool Covers(JsonElement whole, JsonElement part)
    {
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
