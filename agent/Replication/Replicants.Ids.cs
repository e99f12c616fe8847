using System.Text;
using Cheops.Agent.Translation;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class Replicants : IIdMap
{
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
        localId = ById('M', service, resource, metaId)?.LocalIds.GetValueOrDefault(site) ?? "";
        return localId.Length > 0;
    }

    /// <inheritdoc/>
    public bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId)
    {
        metaId = ById('L', service, resource, localId)?.Key.MetaId ?? "";
        return metaId.Length > 0;
    }

    private ReplicantRecord? ById(char space, string service, string resource, ReadOnlySpan<byte> id)
    {
        if (id.IsEmpty || id.Length > Bounds.LocalIdSizeMax) return null;
        var key = IdKey(space, service, resource, id);
        return table.MayHold(key) ? RecordBehind(key) : null;
    }

    private string ResourceOf(ReplicantRecord record) => ResourceOf(record.Key, record.Resource);

    /// <summary>The name under which ids of a resource are kept. By convention alone everything has one name in the profile: the collection tells things apart.</summary>
    public string ResourceOf(ReplicantKey key, string resource) =>
        profiles.For(key.Service).Resources.GetValueOrDefault(resource) is { Collection.IsConvention: true } ? key.Collection : resource;

    /// <summary>Whether a path is the collection of a replicant whose id here is another; a false yes is harmless.</summary>
    public bool IsCollection(string service, ReadOnlySpan<byte> path) => table.MayHold(CollectionKey(service, path));

    private static byte[] CollectionKey(string service, ReadOnlySpan<byte> path) => [(byte)'C', .. Encoding.ASCII.GetBytes(service), 0, .. path];

    private static byte[] ServiceKey(string service) => [(byte)'T', .. Encoding.ASCII.GetBytes(service)];
}
