using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Tests.Fuzz.Scopes;

/// <summary>Profiles and OpenAPI documents: any bytes give a profile or mistakes.</summary>
public sealed class ProfileTarget
{
    /// <summary>The target's name on the command line.</summary>
    public string Name => "profile";

    /// <summary>Inputs to begin with.</summary>
    public IEnumerable<byte[]> Seeds =>
    [
        .. BuiltInProfiles.Names.Select(name => BuiltInProfiles.Json(name).ToArray()),
        """{"paths": {"/a": {"post": {"requestBody": {"$ref": "#/b"}}}, "/a/{id}": {}}, "b": {"content": {"application/json": {"schema": {"properties": {"id": {}}}}}}}"""u8.ToArray(),
    ];

    /// <summary>Runs one input.</summary>
    /// <exception cref="InvalidOperationException">A property does not hold.</exception>
    public void Run(ReadOnlySpan<byte> input)
    {
        var bytes = input.ToArray();
        var read = ProfileReader.TryRead(bytes, out var profile, out var mistakes);
        if (read != (profile is not null) || read != mistakes.IsEmpty)
            throw new InvalidOperationException("neither a profile nor mistakes");
        foreach (var service in profile?.Services.Values ?? [])
        {
            foreach (var resource in service.Resources.Values)
                service.Paths.Match(Encoding.UTF8.GetBytes(resource.Item.Text));
        }

        try
        {
            ProfileInference.Infer(bytes, "fuzz", "fuzz");
        }
        catch (FormatException)
        {
            // The answer to what is no OpenAPI document.
        }
    }
}
