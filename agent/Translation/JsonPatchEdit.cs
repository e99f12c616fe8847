using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>Takes operations out of a JSON Patch (RFC 6902).</summary>
internal static class JsonPatchEdit
{
    /// <summary>Takes out every operation, tests too, whose <c>path</c> or <c>from</c> is one of some fields, or is inside one.</summary>
    /// <param name="patch">The patch.</param>
    /// <param name="fields">The fields.</param>
    /// <returns>The patch that is left, the operations byte for byte; null when it is no JSON Patch.</returns>
    public static byte[]? Without(ReadOnlySpan<byte> patch, ImmutableArray<FieldPath> fields)
    {
        var kept = new ArrayBufferWriter<byte>(patch.Length);
        kept.Write("["u8);
        try
        {
            var reader = new Utf8JsonReader(patch);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray) return null;
            while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
            {
                var start = (int)reader.TokenStartIndex;
                if (Names(ref reader, fields)) continue;
                if (kept.WrittenCount > 1) kept.Write(","u8);
                kept.Write(patch[start..(int)reader.BytesConsumed]);
            }

            if (reader.TokenType != JsonTokenType.EndArray || reader.Read()) return null;
        }
        catch (JsonException)
        {
            return null;
        }

        kept.Write("]"u8);
        return kept.WrittenSpan.ToArray();
    }

    // Reads to the end of the operation.
    private static bool Names(ref Utf8JsonReader reader, ImmutableArray<FieldPath> fields)
    {
        var names = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isPointer = reader.ValueTextEquals("path"u8) || reader.ValueTextEquals("from"u8);
            reader.Read();
            if (isPointer && reader.TokenType == JsonTokenType.String) names |= IsIn(reader.GetString()!, fields);
            else reader.Skip();
        }

        return names;
    }

    private static bool IsIn(string pointer, ImmutableArray<FieldPath> fields)
    {
        var segments = pointer.Split('/')[1..];
        for (var i = 0; i < segments.Length; i++) segments[i] = segments[i].Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
        return fields.Any(field => segments.Length >= field.Segments.Length
            && field.Segments.Zip(segments).All(pair => pair.First == FieldPath.Each || pair.First == pair.Second));
    }
}
