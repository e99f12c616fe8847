using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>
/// Changes the bodies of requests by what they are: JSON, be it a representation, a merge patch or what is to be applied; a
/// JSON Patch; an object in Kubernetes' protobuf. Everything else stays as it is.
/// </summary>
public static class RequestBodies
{
    private static readonly ConditionalWeakTable<ResourceProfile, BodyChanges> SiteSpecific = [];

    /// <summary>Whether a body may be read as JSON; one that does not say what it is may.</summary>
    /// <param name="mediaType">In lower case without parameters; empty for none.</param>
    public static bool IsJson(string mediaType) =>
        mediaType.Length == 0 || mediaType.Contains("json", StringComparison.Ordinal) || mediaType.EndsWith("yaml", StringComparison.Ordinal);

    /// <summary>What a request's body is for another site: without the fields that belong to one.</summary>
    public static ReadOnlyMemory<byte> WithoutSiteSpecific(ResourceProfile resource, string mediaType, ReadOnlyMemory<byte> body)
    {
        if (resource.SiteSpecific.IsEmpty || body.IsEmpty) return body;
        if (body.Span.StartsWith(KubernetesObject.Magic)) return KubernetesEdit.Without(body.Span, resource.SiteSpecific) ?? body;
        if (mediaType.Contains("json-patch", StringComparison.Ordinal)) return JsonPatchEdit.Without(body.Span, resource.SiteSpecific) ?? body;
        return SiteSpecificEdit(resource, mediaType) is { } edit ? Edited(body.Span, edit) : body;
    }

    /// <summary>The same for a body that streams by; null when nothing is taken out of such bodies.</summary>
    public static BodyEdit? SiteSpecificEdit(ResourceProfile resource, string mediaType) =>
        resource.SiteSpecific.IsEmpty || !IsJson(mediaType) || mediaType.Contains("json-patch", StringComparison.Ordinal)
            ? null
            : new BodyEdit(SiteSpecificOf(resource));

    internal static BodyChanges SiteSpecificOf(ResourceProfile resource) => SiteSpecific.GetValue(resource, static resource => new BodyChanges(resource.SiteSpecific, keep: resource.SiteSpecificExcept.AsSpan()));

    /// <summary>Puts the id of a new resource into the body that makes it.</summary>
    /// <returns>Null when the body has no place for it.</returns>
    public static ReadOnlyMemory<byte>? WithId(ResourceProfile resource, ReadOnlyMemory<byte> body, string id)
    {
        if (resource.Id is not { } path || path.Segments.Contains(FieldPath.Each)) return null;
        var changed = body.Span.StartsWith(KubernetesObject.Magic) ? KubernetesEdit.WithName(body.Span, id) : Edited(body.Span, SetTo(path, id));
        if (changed is null) return null;
        var reader = new BodyIdReader(resource);
        reader.Feed(changed);
        return reader.ByProfile == id ? (ReadOnlyMemory<byte>?)changed : null;
    }

    private static BodyEdit SetTo(FieldPath path, string id)
    {
        var value = new ArrayBufferWriter<byte>(id.Length + 2);
        JsonText.Write(Encoding.UTF8.GetBytes(id), value);
        return new BodyEdit(new BodyChanges([], path, value.WrittenMemory));
    }

    private static byte[] Edited(ReadOnlySpan<byte> body, BodyEdit edit)
    {
        var output = new ArrayBufferWriter<byte>(body.Length + 64);
        edit.Feed(body, output);
        edit.Complete(output);
        return output.WrittenSpan.ToArray();
    }
}
