using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Translates the values of a query that are ids as a whole: of parameters named as ids are (<c>id</c>, <c>marker</c>,
/// <c>image_id</c>), or as a field of the resource that refers to another.
/// </summary>
internal sealed class QueryTranslator(IdTranslator ids)
{
    private const int LevelsMax = 3;

    /// <summary>Translates a query.</summary>
    /// <param name="query">What follows the question mark.</param>
    /// <param name="path">The path before it, normalized and as it came: with ids of the side that it comes from.</param>
    /// <param name="output">Gets the translated query; left alone when nothing is translated.</param>
    public bool TryTranslate(ReadOnlySpan<byte> query, ReadOnlySpan<byte> path, ArrayBufferWriter<byte> output)
    {
        var (at, copied) = (0, 0);
        var match = ids.Service.Paths.Match(path);
        while (at < query.Length)
        {
            var end = query[at..].IndexOf((byte)'&') is >= 0 and var next ? at + next : query.Length;
            var equals = query[at..end].IndexOf((byte)'=');
            if (equals > 0 && equals <= IdParameter.LengthMax && TryValue(query.Slice(at, equals), query[(at + equals + 1)..end], match, path, out var id))
            {
                output.Write(query[copied..(at + equals + 1)]);
                PercentEncoding.Write(id, output, inQuery: true);
                copied = end;
            }

            at = end + 1;
        }

        if (copied == 0) return false;
        output.Write(query[copied..]);
        return true;
    }

    private bool TryValue(ReadOnlySpan<byte> encodedName, ReadOnlySpan<byte> value, in PathMatch match, ReadOnlySpan<byte> path, out string id)
    {
        id = "";
        if (value.IsEmpty) return false;
        Span<byte> buffer = stackalloc byte[IdParameter.LengthMax];
        var parameter = IdParameter.Parse(Encoding.UTF8.GetString(PercentEncoding.Decode(encodedName, buffer, plusIsSpace: true)));
        if (match.Kind == PathKind.Convention) return TryByConvention(parameter, value, path, out id);
        if (match.Resource is { } resource && TryOfResource(parameter, value, resource, out id)) return true;
        if (!parameter.IsIdLike) return false;
        foreach (var other in ids.Service.Resources.Values)
        {
            if (parameter.IsOf(other.Name) && ids.TryTranslateEncoded(other.Name, value, out id, inQuery: true)) return true;
        }

        return false;
    }

    private bool TryOfResource(IdParameter parameter, ReadOnlySpan<byte> value, ResourceProfile resource, out string id)
    {
        if ((parameter.IsOwn || parameter.Name == resource.Id?.Segments[^1]) && ids.TryTranslateEncoded(resource.Name, value, out id, inQuery: true)) return true;
        foreach (var reference in resource.References)
        {
            var field = reference.Field.Segments.Last(segment => segment != FieldPath.Each);
            var named = parameter.Name == field || (parameter.IsIdLike && parameter.IsOf(reference.Resource));
            var service = reference.Service == Profile.AnyService ? ids.Service.Name : reference.Service;
            if (named && ids.TryTranslateEncoded(service, reference.Resource, value, out id, inQuery: true)) return true;
        }

        id = "";
        return false;
    }

    // '/v1/items?marker=7' speaks of '/v1/items/7', and '/v1/items?order_id=7' of '/v1/orders/7' beside it, or '/orders/7'.
    private bool TryByConvention(IdParameter parameter, ReadOnlySpan<byte> value, ReadOnlySpan<byte> path, out string id)
    {
        id = "";
        var collection = path.Length > 1 && path[^1] == '/' ? path[..^1] : path;
        if (parameter.IsOwn) return ids.TryTranslateEncoded(Encoding.UTF8.GetString(collection), value, out id, inQuery: true);
        if (!parameter.IsIdLike) return false;
        var above = Conventions.CollectionOf(collection);
        for (var level = 0; level < LevelsMax; level++, above = Conventions.CollectionOf(above))
        {
            var beside = $"{Encoding.UTF8.GetString(above)}/{parameter.Stem}";
            if (ids.TryTranslateEncoded(beside + "s", value, out id, inQuery: true) || ids.TryTranslateEncoded(beside, value, out id, inQuery: true)) return true;
            if (above.IsEmpty) break;
        }

        return false;
    }
}

/// <summary>The name of a parameter of a query, as far as ids go.</summary>
/// <param name="Name">The name.</param>
/// <param name="Stem">What stands before <c>_id</c>, <c>Id</c> or the like; empty when the name is not of that kind.</param>
internal readonly record struct IdParameter(string Name, string Stem)
{
    /// <summary>Longest name that is looked at, in bytes.</summary>
    public const int LengthMax = 128;

    private static readonly string[] Endings = ["_id", "-id", "Id", "ID", "_uuid", "Uuid", "UUID", "Ref", "_ref"];

    /// <summary>Whether it means the resources that the path is about.</summary>
    public bool IsOwn => Name is "id" or "uuid" or "ids" or "marker";

    /// <summary>Whether it is named as the id of something else.</summary>
    public bool IsIdLike => Stem.Length > 0;

    /// <summary>Looks at a name.</summary>
    public static IdParameter Parse(string name)
    {
        foreach (var ending in Endings)
        {
            if (name.Length > ending.Length && name.EndsWith(ending, StringComparison.Ordinal)) return new IdParameter(name, name[..^ending.Length]);
        }

        return new IdParameter(name, "");
    }

    /// <summary>Whether its stem is the singular of a resource's name: <c>image</c> of <c>images</c>, <c>security_group</c> of <c>security-groups</c>.</summary>
    public bool IsOf(string resource)
    {
        var plural = Plain(resource);
        var singular = Plain(Stem);
        return singular == plural || plural == singular + "s" || (singular.EndsWith('y') && plural == singular[..^1] + "ies") || plural == singular + "es";
    }

    private static string Plain(string name) => string.Concat(name.Where(char.IsAsciiLetterOrDigit)).ToLowerInvariant();
}
