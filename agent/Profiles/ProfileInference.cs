using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Cheops.Proto;

namespace Cheops.Agent.Profiles;

/// <summary>
/// Writes a profile from an OpenAPI document: what can be told from it (paths, ids, who chooses them, fields that only the
/// service sets, actions below items) and nothing that cannot (dependencies, natural keys, visibility).
/// </summary>
public static class ProfileInference
{
    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Infers a profile of one service.</summary>
    /// <param name="openApi">The document, OpenAPI 3 or Swagger 2 in JSON.</param>
    /// <param name="name">The profile's name.</param>
    /// <param name="service">The service's name, as in the settings.</param>
    /// <returns>The profile's JSON, which <see cref="ProfileReader"/> takes, with a line feed at its end.</returns>
    /// <exception cref="FormatException">The document is too large, no JSON, no OpenAPI, or describes no collection.</exception>
    public static string Infer(ReadOnlyMemory<byte> openApi, string name, string service)
    {
        if (openApi.Length > Bounds.OpenApiSizeMax) throw new FormatException($"the document has {openApi.Length} bytes; at most {Bounds.OpenApiSizeMax} are read");
        ImmutableArray<FoundResource> resources;
        try
        {
            using var document = JsonDocument.Parse(openApi, new JsonDocumentOptions { MaxDepth = 128 });
            resources = new OpenApiPaths(document.RootElement).Find();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // An InvalidOperationException is a text with half of a surrogate pair.
            throw new FormatException($"the document is no JSON: {e.Message.Split(" LineNumber:")[0]}; convert YAML first", e);
        }

        if (resources.IsEmpty) throw new FormatException("the document describes no collection: no path /things beside a path /things/{id}");
        var json = Write(name, service, resources);
        return ProfileReader.TryRead(Encoding.UTF8.GetBytes(json), out _, out var mistakes)
            ? json
            : throw new FormatException($"the document's paths make no profile: {string.Join("; ", mistakes.Take(3))}");
    }

    private static string Write(string name, string service, ImmutableArray<FoundResource> resources)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteString("profile", name);
            json.WriteStartObject("services");
            json.WriteStartObject(service);
            json.WriteStartObject("resources");
            foreach (var resource in resources) WriteResource(json, resource);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n";
    }

    private static void WriteResource(Utf8JsonWriter json, FoundResource resource)
    {
        json.WriteStartObject(resource.Name);
        json.WriteString("collection", resource.Collection);
        json.WriteString("item", resource.Item);
        if (resource.Id.Length > 0) json.WriteString("id", resource.Id);
        if (resource.IsIdChosenByClient) json.WriteString("idChosenBy", "client");
        if (!resource.SiteSpecific.IsEmpty)
        {
            json.WriteStartArray("siteSpecific");
            foreach (var field in resource.SiteSpecific) json.WriteStringValue(field);
            json.WriteEndArray();
        }

        if (!resource.Actions.IsEmpty)
        {
            json.WriteStartObject("actions");
            foreach (var (path, changes) in resource.Actions) json.WriteString(path, changes ? "operation" : "never");
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }
}
