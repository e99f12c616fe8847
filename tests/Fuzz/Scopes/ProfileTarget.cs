using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Tests.Fuzz.Scopes;

/// <summary>Profiles and OpenAPI documents: any bytes give a profile or mistakes, never anything else.</summary>
public sealed class ProfileTarget : IFuzzTarget
{
    public string Name => "profile";

    public string Purpose => "any document is a profile or gives mistakes with paths, also as an OpenAPI document";

    public IEnumerable<byte[]> Seeds =>
    [
        BuiltInProfiles.Json("rest").ToArray(),
        """
        {"profile": "shop", "services": {"shop": {"propagate": "x-t", "correlate": {"send": {"x-a": "req-<uuid>"}, "keep": "2h"}, "ambiguous": "local",
          "resources": {"orders": {"collection": "/o", "references": {"i": {"resource": "items", "dependency": "reliance"}}, "actions": {"/pay": "never"},
            "operations": {"x": {"method": "PUT"}}, "resolution": {"x": {"update": "first"}}}, "items": {"collection": "/{a}/i", "id": "a.b[]"}}}}}
        """u8.ToArray(),
        """{"paths": {"/a": {"post": {"responses": {"201": {"schema": {"$ref": "#/b"}}}}}, "/a/{id}": {}}, "b": {"properties": {"id": {}, "x": {"readOnly": true}}}}"""u8.ToArray(),
    ];

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "\"", "{", "}", "[", "]", ":", ",", "null", "1", "\"a\"", "\"\\ud800\"", "\"collection\": \"/a\"", "\"item\": \"/a/{id}\"", "{id}", "\"defaults\": {}", "\"id\": \"b\"",
            "\"identity\": \"frontProxy\"", "\"visibility\": \"local\"", "/", ".", "[]", "<hex>",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public int Run(byte[] input)
    {
        var read = ProfileReader.TryRead(input, out var profile, out var mistakes);
        FuzzException.Demand(read == (profile is not null) && read == mistakes.IsEmpty, "neither a profile nor mistakes");
        FuzzException.Demand(mistakes.All(mistake => mistake.Path.StartsWith('$') && mistake.Message.Length > 0), "a mistake without a path");
        foreach (var service in profile?.Services.Values ?? [])
        {
            foreach (var resource in service.Resources.Values)
            {
                var path = resource.Item.Text.Replace("{path+}", "p", StringComparison.Ordinal);
                FuzzException.Demand(service.Paths.Match(Encoding.UTF8.GetBytes(path)).Kind != PathKind.None, $"an item's own path is not found: {path}");
            }
        }

        return HashCode.Combine(read, mistakes.Length, mistakes.IsEmpty ? 0 : mistakes[0].Path.Length, Infers(input));
    }

    private static bool Infers(byte[] input)
    {
        try
        {
            return ProfileInference.Infer(input, "fuzz", "fuzz").Length > 0;
        }
        catch (FormatException)
        {
            // The answer to what is no OpenAPI document.
            return false;
        }
    }
}
