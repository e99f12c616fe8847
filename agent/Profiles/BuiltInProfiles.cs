using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>The profiles in the executable: <c>kubernetes</c>, <c>openstack</c> and plain <c>rest</c>.</summary>
public static class BuiltInProfiles
{
    private static readonly FrozenDictionary<string, Lazy<Profile>> All =
        Names.ToFrozenDictionary(name => name, name => new Lazy<Profile>(() => Read(name)));

    /// <summary>Their names.</summary>
    public static ImmutableArray<string> Names => ["kubernetes", "openstack", "rest"];

    /// <summary>A built-in profile, read when it is first asked for; null when there is none of that name.</summary>
    public static Profile? Find(string name) => All.TryGetValue(name, out var profile) ? profile.Value : null;

    /// <summary>A built-in profile's JSON, for people who write their own.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static ReadOnlyMemory<byte> Json(string name)
    {
        using var stream = typeof(BuiltInProfiles).Assembly.GetManifestResourceStream($"profiles/{name}.json")
            ?? throw new ArgumentException($"No built-in profile '{name}'.", nameof(name));
        var json = new byte[stream.Length];
        stream.ReadExactly(json);
        return json;
    }

    private static Profile Read(string name) => ProfileReader.TryRead(Json(name), out var profile, out var mistakes)
        ? profile
        : throw new InvalidOperationException($"The built-in profile {name} is wrong: {string.Join("; ", mistakes)}");
}
