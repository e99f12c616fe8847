using Cheops.Agent.Profiles;

namespace Cheops.Agent.Translation;

/// <summary>Which way ids are translated.</summary>
public enum Direction
{
    /// <summary>From meta-ids to the ids of this site: what goes to the service instance here.</summary>
    ToLocal,
    /// <summary>From the ids of this site to meta-ids: what the service instance here has answered.</summary>
    ToMeta,
}

/// <summary>
/// Meta-ids and the local ids of this site's replicas. Ids are bare: UTF-8, neither percent-encoded nor escaped. Safe from
/// any thread; never blocks.
/// </summary>
/// <remarks>
/// <c>resource</c> is the name that a resource has in its profile. Where a path is understood by REST convention alone, that
/// name would be the same for everything, so it is the path of the collection instead, normalized and with meta-ids, such as
/// <c>/v1/orders</c>: order 7 and item 7 are two things.
/// </remarks>
public interface IIdMap
{
    /// <summary>The local id of a replica; false when the meta-id is none of this site's, or when both are the same.</summary>
    bool TryToLocal(string service, string resource, ReadOnlySpan<byte> metaId, out string localId);

    /// <summary>The meta-id of a replica; false when the local id is not that of a replica, or when both are the same.</summary>
    bool TryToMeta(string service, string resource, ReadOnlySpan<byte> localId, out string metaId);

    /// <summary>Whether any resource of a service has another id here than elsewhere; false is certain, and costs next to nothing.</summary>
    bool HasAny(string service);

    /// <summary>Whether any resource of a service, or of those that its own refer to, has another id here than elsewhere; false is certain.</summary>
    /// <param name="profile">What is known of the service.</param>
    /// <param name="service">Its name.</param>
    bool HasAnyFor(ServiceProfile profile, string service)
    {
        if (HasAny(service)) return true;
        foreach (var other in profile.RefersTo)
        {
            if (HasAny(other)) return true;
        }

        return false;
    }
}
