using System.Text;
using System.Text.Unicode;
using Cheops.Agent.Profiles;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>Finds the local id that a service gave a new resource, in its answer to the create.</summary>
public static class AnswerId
{
    /// <summary>Finds the id.</summary>
    /// <param name="service">The service.</param>
    /// <param name="path">The path that the create was sent to, as it was sent.</param>
    /// <param name="location">The answer's <c>Location</c>; empty for none.</param>
    /// <param name="body">What was read of the answer's body.</param>
    /// <returns>
    /// What the profile's field has, else the last segment of <paramref name="location"/> below the collection, else
    /// what <c>id</c>, <c>uuid</c> or <c>metadata.name</c> has; null when there is none.
    /// </returns>
    public static string? Find(ServiceProfile service, ReadOnlySpan<byte> path, ReadOnlySpan<byte> location, BodyIdReader body) =>
        body.ByProfile ?? InLocation(service, path, location) ?? body.ByConvention;

    /// <summary>The last segment of a <c>Location</c> that is a resource of the collection; null when it is none.</summary>
    /// <param name="service">The service.</param>
    /// <param name="path">The path that the create was sent to, as it was sent.</param>
    /// <param name="location">An absolute URL, or a path; a relative one is not understood.</param>
    public static string? InLocation(ServiceProfile service, ReadOnlySpan<byte> path, ReadOnlySpan<byte> location)
    {
        if (location.Length > Bounds.TargetSizeMax || path.Length > Bounds.TargetSizeMax) return null;
        var start = UrlTranslator.PathStart(location);
        if (start < 0) return null;
        var there = Normalize(location[start..UrlTranslator.PathEnd(location, start)]);
        var collection = Normalize(path);
        if (collection.Length > 1 && collection[^1] == '/') collection = collection[..^1];
        if (there.Length > 1 && there[^1] == '/') there = there[..^1];
        var id = there[(there.LastIndexOf((byte)'/') + 1)..];
        var above = Conventions.CollectionOf(there);
        if (id.IsEmpty || !(above.EndsWith(collection) || IsItemOf(service, there, collection))) return null;
        var decoded = PercentEncoding.Decode(id, new byte[id.Length]);
        return decoded.Length <= Bounds.LocalIdSizeMax && Utf8.IsValid(decoded) ? Encoding.UTF8.GetString(decoded) : null;
    }

    // Some services answer with the path of another version of their API, or of the same collection in another place.
    private static bool IsItemOf(ServiceProfile service, ReadOnlySpan<byte> item, ReadOnlySpan<byte> collection)
    {
        var match = service.Paths.Match(item);
        return match.Kind == PathKind.Item && match.Resource == service.Paths.Match(collection).Resource;
    }

    private static ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> path) =>
        PathNormalizer.IsPlain(path) ? path : PathNormalizer.Normalize(path, new byte[PathNormalizer.SizeMax(path.Length)]);
}
