using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Fits a whole representation, which replaces the resource, to another site: where it has what belongs to a site, the replica
/// there keeps its own. Services may insist on it: that the version which is replaced is named, or an address is not lost.
/// </summary>
public static class SiteFields
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 128 };
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 256 };

    /// <summary>The representation for the other site; elements of lists are told apart by their places.</summary>
    /// <param name="resource">The kind of resource.</param>
    /// <param name="sent">The representation, as it was sent to the deciding site.</param>
    /// <param name="replica">The replica as it is at the other site.</param>
    /// <returns>Null when one of them is no JSON.</returns>
    public static ReadOnlyMemory<byte>? Fit(ResourceProfile resource, ReadOnlyMemory<byte> sent, ReadOnlyMemory<byte> replica)
    {
        try
        {
            using var from = JsonDocument.Parse(sent, Reading);
            using var own = JsonDocument.Parse(replica, Reading);
            var output = new ArrayBufferWriter<byte>(sent.Length + 256);
            using (var json = new Utf8JsonWriter(output, Writing)) Write(json, from.RootElement, own.RootElement, RequestBodies.SiteSpecificOf(resource).Root);
            return output.WrittenMemory;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static void Write(Utf8JsonWriter json, JsonElement sent, JsonElement own, FieldNode<EditPlace>? place)
    {
        if (place is null)
        {
            sent.WriteTo(json);
        }
        else if (sent.ValueKind == JsonValueKind.Object)
        {
            json.WriteStartObject();
            foreach (var member in sent.EnumerateObject())
            {
                var inside = place.Find(Encoding.UTF8.GetBytes(member.Name));
                var value = own.ValueKind == JsonValueKind.Object && own.TryGetProperty(member.Name, out var found) ? found : default;
                var isOwn = inside?.Known is { IsRemoved: true } known && !(known.Kept is { } kept && member.Value.ValueKind == JsonValueKind.String && member.Value.ValueEquals(kept));
                if (isOwn && value.ValueKind == JsonValueKind.Undefined) continue;
                json.WritePropertyName(member.Name);
                if (isOwn) value.WriteTo(json);
                else Write(json, member.Value, value, inside);
            }

            json.WriteEndObject();
        }
        else if (sent.ValueKind == JsonValueKind.Array)
        {
            json.WriteStartArray();
            var at = 0;
            foreach (var element in sent.EnumerateArray())
            {
                Write(json, element, own.ValueKind == JsonValueKind.Array && at < own.GetArrayLength() ? own[at] : default, place.Each);
                at++;
            }

            json.WriteEndArray();
        }
        else
        {
            sent.WriteTo(json);
        }
    }
}
