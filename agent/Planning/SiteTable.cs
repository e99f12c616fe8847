using System.Collections.Immutable;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Planning;

/// <summary>One snapshot of the sites, by name.</summary>
internal sealed class SiteTable
{
    private readonly Dictionary<string, SiteStatus> _byName;

    public SiteTable(ImmutableArray<SiteStatus> sites, string here)
    {
        Sites = sites;
        Here = here;
        _byName = new Dictionary<string, SiteStatus>(sites.Length);
        foreach (var site in sites)
            _byName.TryAdd(site.Name, site);
    }

    public ImmutableArray<SiteStatus> Sites { get; }

    /// <summary>The site of the agent that plans; known even when the snapshot leaves it out.</summary>
    public string Here { get; }

    public bool Knows(string name) => name == Here || _byName.ContainsKey(name);

    public SiteStatus? Find(string name) => _byName.GetValueOrDefault(name);

    public IEnumerable<string> Names => _byName.Keys.Append(Here).Distinct().Order(StringComparer.Ordinal);

    /// <summary>
    /// Every other known site whose measured round-trip time from a centre is within a bound, nearest first, equally
    /// near ones by name: from this agent's own measurements when the centre is here, else from what the centre reports.
    /// </summary>
    /// <param name="center">The site to measure from.</param>
    /// <param name="within">The bound, inclusive.</param>
    /// <param name="measured">Whether there was any measurement at all.</param>
    public List<string> Around(string center, TimeSpan within, out bool measured)
    {
        var distances = center == Here ? FromHere() : FromThere(center);
        measured = distances.Count > 0;
        distances.RemoveAll(distance => distance.RoundTrip > within);
        distances.Sort(static (a, b) =>
            a.RoundTrip.CompareTo(b.RoundTrip) is var order and not 0 ? order : string.CompareOrdinal(a.Site, b.Site));
        return distances.ConvertAll(distance => distance.Site);
    }

    private List<(string Site, TimeSpan RoundTrip)> FromHere()
    {
        var distances = new List<(string, TimeSpan)>(Sites.Length);
        foreach (var site in Sites)
        {
            if (site.Name != Here && site.RoundTrip is { } roundTrip)
                distances.Add((site.Name, roundTrip));
        }

        return distances;
    }

    private List<(string Site, TimeSpan RoundTrip)> FromThere(string center)
    {
        var distances = new List<(string, TimeSpan)>();
        foreach (var (name, roundTrip) in Find(center)?.RoundTripsFromThere ?? [])
        {
            if (name != center && Knows(name))
                distances.Add((name, roundTrip));
        }

        return distances;
    }
}
