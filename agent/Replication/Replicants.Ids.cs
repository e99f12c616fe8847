using System.Buffers;
using System.Text;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicants : IIdMap
{
    // Where a resource tells its collection, and where it does not.
    private static readonly (char ByPath, char ByResource) OfMetaIds = ('M', 'm'), OfLocalIds = ('L', 'l');

    // Of these an item's path has no other form.
    private static readonly SearchValues<byte> Unreserved = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"u8);

    /// <inheritdoc/>
    public bool HasAny(string service)
    {
        if (table.Count == 0 || service.Length > Bounds.SiteNameLengthMax) return false;
        Span<byte> key = stackalloc byte[1 + Bounds.SiteNameLengthMax];
        key[0] = (byte)'T';
        return table.MayHold(key[..(1 + Encoding.ASCII.GetBytes(service, key[1..]))]);
    }

    /// <inheritdoc/>
    public bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId)
    {
        localId = ById(OfMetaIds, service, resource, metaId)?.LocalIds.GetValueOrDefault(site) ?? "";
        return localId.Length > 0;
    }

    /// <inheritdoc/>
    public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId)
    {
        metaId = ById(OfLocalIds, service, resource, localId)?.Key.MetaId ?? "";
        return metaId.Length > 0;
    }

    private ReplicantRecord? ById((char ByPath, char ByResource) spaces, string service, string resource, ReadOnlySpan<byte> id)
    {
        if (id.IsEmpty || id.Length > Bounds.LocalIdSizeMax) return null;
        if (CollectionOf(service, resource) is { } collection && Behind(ItemKey(spaces.ByPath, service, collection, id)) is { } record) return record;
        return Behind(IdKey(spaces.ByResource, service, resource, id));
    }

    private ReplicantRecord? Behind(byte[] key) => key.Length <= Bounds.TableKeySizeMax && table.MayHold(key) ? RecordBehind(key) : null;

    /// <summary>The collection in which all of a resource is, by the name under which its ids are kept; null where paths differ in more than the id.</summary>
    private string? CollectionOf(string service, string resource)
    {
        if (resource.StartsWith('/')) return resource;
        return profiles.For(service).Resources.GetValueOrDefault(resource) is { Collection.Variables.IsEmpty: true } known ? known.Collection.Text : null;
    }

    private static byte[] ItemKey(char space, string service, string collection, ReadOnlySpan<byte> id) => id.ContainsAnyExcept(Unreserved)
        ? PathKey(space, service, ItemPath(new ReplicantKey(service, collection, ""), Encoding.UTF8.GetString(id)))
        : [(byte)space, .. Encoding.ASCII.GetBytes(service), 0, .. Encoding.UTF8.GetBytes(collection), (byte)'/', .. id];

    private static byte[] IdKey(char space, string service, string resource, ReadOnlySpan<byte> id) =>
        [(byte)space, .. Encoding.ASCII.GetBytes(service), 0, .. Encoding.ASCII.GetBytes(resource), 0, .. id];

    private string ResourceOf(ReplicantRecord record) => ResourceOf(record.Key, record.Resource);

    /// <summary>The name under which ids of a resource are kept. By convention alone everything has one name in the profile: the collection tells things apart.</summary>
    public string ResourceOf(ReplicantKey key, string resource) =>
        profiles.For(key.Service).Resources.GetValueOrDefault(resource) is { Collection.IsConvention: true } ? key.Collection : resource;

    /// <summary>Whether a path is the collection of a replicant whose id here is another; a false yes is harmless.</summary>
    public bool IsCollection(string service, ReadOnlySpan<byte> path) => table.MayHold(CollectionKey(service, path));

    private static byte[] CollectionKey(string service, ReadOnlySpan<byte> path) => [(byte)'C', .. Encoding.ASCII.GetBytes(service), 0, .. path];

    private static byte[] ServiceKey(string service) => [(byte)'T', .. Encoding.ASCII.GetBytes(service)];
}
