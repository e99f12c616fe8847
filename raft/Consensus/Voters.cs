using System.Collections.Immutable;
using System.Net;
using DotNext.Net.Cluster;

namespace Cheops.Raft.Consensus;

/// <summary>The voters of a group, and what DotNext calls each.</summary>
internal sealed class Voters
{
    private readonly Dictionary<string, ClusterMemberId> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<ClusterMemberId, string> _sites = [];

    /// <summary>Names the voters.</summary>
    public Voters(ImmutableArray<string> sites)
    {
        foreach (var site in sites)
        {
            var id = ClusterMemberId.FromEndPoint(EndPointOf(site));
            _ids.Add(site, id);
            _sites.Add(id, site);
        }
    }

    /// <summary>What DotNext calls a site that is a voter.</summary>
    public ClusterMemberId IdOf(string site) => _ids[site];

    /// <summary>The voter that DotNext calls so.</summary>
    public string SiteOf(ClusterMemberId id) => _sites[id];

    /// <summary>An address for DotNext, which wants one; nothing is ever sent to it.</summary>
    public static EndPoint EndPointOf(string site) => new DnsEndPoint(site, 1);
}
