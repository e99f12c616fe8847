using System.Collections.Immutable;
using Cheops.Proto;

namespace Cheops.Raft.Founding;

/// <summary>Which sets of sites can be founded.</summary>
internal static class FoundingCheck
{
    /// <summary>The founding that a site asks for.</summary>
    /// <exception cref="GroupException">It makes no sense.</exception>
    public static GroupFounding Of(string self, ImmutableArray<string> sites, string? witness)
    {
        if (sites.Length is 0 or > Bounds.GroupSitesMax || !sites.Contains(self))
            throw new GroupException(GroupError.NotMember, $"{self} is none of {string.Join(", ", sites)}");
        if (witness is not null && (sites.Length != 2 || sites.Contains(witness)))
            throw new GroupException(GroupError.NotFounded, "a witness is for two sites, and none of them");
        for (var i = 1; i < sites.Length; i++)
        {
            if (string.CompareOrdinal(sites[i - 1], sites[i]) >= 0) throw new GroupException(GroupError.NotFounded, "the sites are not in order");
        }

        return new GroupFounding { Sites = sites, Witness = witness };
    }
}
