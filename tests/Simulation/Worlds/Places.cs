using System.Collections.Immutable;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// Where each thing has replicas, as far as people can know: a thing's first sites, those that were asked to be added or
/// removed, and what they were told of that.
/// </summary>
internal sealed class Places(Scenario scenario)
{
    private readonly Dictionary<string, ImmutableArray<string>> _surely = new(StringComparer.Ordinal);
    private readonly HashSet<(string Site, string Thing)> _changed = [];
    private readonly HashSet<string> _forgetful = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _askedAt = new(StringComparer.Ordinal);
    private readonly HashSet<string> _lost = new(StringComparer.Ordinal);
    private readonly List<(string Thing, ImmutableArray<string> Sites)> _told = [];

    /// <summary>Sites that never come back.</summary>
    public IReadOnlySet<string> Lost => _lost;

    /// <summary>The sites that people were told a thing has moved to.</summary>
    public IReadOnlyList<(string Thing, ImmutableArray<string> Sites)> Told => _told;

    /// <summary>The site where an operation was asked for without a scope, if it was to leave or to come: where it was no replica's, it was that site's own.</summary>
    public string? OwnOf(string operation, string thing) => _askedAt.TryGetValue(operation, out var site) && _changed.Contains((site, thing)) ? site : null;

    /// <summary>Whether a thing's sites were changed, or asked to be.</summary>
    public bool IsMoved(string thing) => _surely.ContainsKey(thing);

    /// <summary>The sites where a thing has a replica, whatever becomes of what was asked.</summary>
    public ImmutableArray<string> SurelyAt(string thing) => [.. (_surely.TryGetValue(thing, out var sites) ? sites : scenario.Things[thing]).Where(site => !_lost.Contains(site))];

    /// <summary>Whether a site was to be removed from a thing's sites, which it had before.</summary>
    public bool IsLeaving(string site, string thing) => _changed.Contains((site, thing)) && scenario.Things[thing].Contains(site) && !SurelyAt(thing).Contains(site);

    /// <summary>Whether a site may lack a thing that others have: it was added, or removed and added again, or has lost its data.</summary>
    public bool MayLack(string site, string thing) => _changed.Contains((site, thing)) || _forgetful.Contains(site);

    /// <summary>A site has lost data.</summary>
    public void OnForgot(string site) => _forgetful.Add(site);

    /// <summary>A person is about to add a site to a thing's sites, or to remove it.</summary>
    public void OnChanging(string thing, string other, bool isAdded)
    {
        _surely[thing] = isAdded ? SurelyAt(thing) : SurelyAt(thing).Remove(other);
        _changed.Add((other, thing));
    }

    /// <summary>A person was told that a thing is at these sites now.</summary>
    public void OnMoved(string thing, ImmutableArray<string> sites)
    {
        _surely[thing] = sites;
        _told.Add((thing, sites));
    }

    /// <summary>A client asks for a change at a site, and names none.</summary>
    public void OnAskedAt(string operation, string site) => _askedAt[operation] = site;

    /// <summary>Whether a site can go for good: everything that was moved has another one.</summary>
    public bool CanLose(string site) => _lost.Count == 0 && _surely.Keys.All(thing => SurelyAt(thing).Any(one => one != site));

    /// <summary>A site is gone for good.</summary>
    public void OnLost(string site) => _lost.Add(site);
}
