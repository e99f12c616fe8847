using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Proto;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

/// <summary>What became of the removal of a site that will not come back.</summary>
/// <param name="Groups">The groups that had it as a member and that some site that was asked is a member of, each once.</param>
/// <param name="WithoutAnswer">Sites that did not answer, and why: of groups that only they are left of, nothing is known.</param>
internal sealed record SiteRemovalReport(ImmutableArray<SiteRemoval> Groups, ImmutableArray<(string Site, string Reason)> WithoutAnswer)
{
    /// <summary>Whether it counts in no group any more.</summary>
    public bool IsDone => WithoutAnswer.IsEmpty && Groups.All(one => one.IsDone);
}

internal sealed partial class Replicator
{
    /// <summary>Sites that can be removed: those of the mesh, and members of groups here, but not this one.</summary>
    public ImmutableArray<string> RemovableSites =>
        [.. Sites.Select(one => one.Name).Concat(Groups.SelectMany(one => one.Founding.Voters)).Where(name => name != _parts.Site).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>
    /// By decision of a person, a site that will not come back no longer counts in any group: 1. in those of this site; 2. in those
    /// of the other sites that are up, which are asked; 3. what waits for it is over where this site can say so at once, elsewhere
    /// when whoever leads next looks.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="evenIfUp">Whether others are to remove it although they hear it.</param>
    public async Task<SiteRemovalReport> RemoveSiteAsync(string site, bool evenIfUp)
    {
        // 1.
        using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.SiteRemovalTimeMaxMs), _parts.Time);
        var removals = (await Host.RemoveSiteAsync(site, bound.Token)).ToList();

        // 2. One after the other: each finds what those before it have done.
        var withoutAnswer = new List<(string, string)>();
        foreach (var other in Sites.Where(one => !one.IsSelf && one.Name != site))
        {
            if (other.State is not (SiteState.Up or SiteState.Draining)) withoutAnswer.Add((other.Name, $"{other.Name} is {other.State.ToString().ToLowerInvariant()}"));
            else if (await RemoveAtAsync(other.Name, site, evenIfUp, removals) is { } reason) withoutAnswer.Add((other.Name, reason));
        }

        // 3.
        foreach (var runner in Groups) await TryRecordRemovedAsync(runner);
        // A group that one site could not decide and another one could is done.
        var groups = removals.GroupBy(one => string.Join(" & ", one.Sites), (_, told) => told.MinBy(one => !one.IsDone)!);
        return new SiteRemovalReport([.. groups.OrderBy(one => string.Join('&', one.Sites), StringComparer.Ordinal)], [.. withoutAnswer]);
    }

    private async Task<string?> RemoveAtAsync(string at, string site, bool evenIfUp, List<SiteRemoval> removals)
    {
        try
        {
            removals.AddRange(await Host.RemoveSiteAtAsync(at, site, evenIfUp, _closing.Token));
            return null;
        }
        catch (GroupException e)
        {
            return e.Message;
        }
    }

    private async Task TryRecordRemovedAsync(GroupRunner runner)
    {
        // A group that cannot commit would keep the others waiting.
        if (runner.Group!.Status.Problem.Length > 0) return;
        try
        {
            await runner.RecordRemovedAsync(_closing.Token);
        }
        catch (GroupException e)
        {
            // At the next tick of whoever leads then.
            _parts.Warn($"replication: which sites were removed from {string.Join(" & ", runner.Founding.Sites)} is not recorded yet: {e.Message}");
        }
    }
}
