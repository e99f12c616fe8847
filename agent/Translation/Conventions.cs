using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>What holds of resources whose profile does not say otherwise.</summary>
public static class Conventions
{
    /// <summary>Where a body has the id of its resource, the first that is there.</summary>
    internal static ImmutableArray<ImmutableArray<string>> IdPaths { get; } = [["id"], ["uuid"], ["metadata", "name"]];

    /// <summary>The name by which <see cref="IIdMap"/> knows the resource that a path names.</summary>
    /// <param name="match">What the path, normalized and with meta-ids, names.</param>
    /// <param name="path">That path.</param>
    /// <returns>The name in the profile; by convention alone, the path of the collection (<see cref="IIdMap"/>).</returns>
    public static string ResourceName(in PathMatch match, ReadOnlySpan<byte> path)
    {
        if (match.Kind != PathKind.Convention) return match.Resource?.Name ?? "";
        return Encoding.UTF8.GetString(CollectionOf(path));
    }

    // Of '/a/b/7' and '/a/b/7/', '/a/b'.
    internal static ReadOnlySpan<byte> CollectionOf(ReadOnlySpan<byte> path)
    {
        if (path.Length > 1 && path[^1] == '/') path = path[..^1];
        return path[..Math.Max(0, path.LastIndexOf((byte)'/'))];
    }
}
