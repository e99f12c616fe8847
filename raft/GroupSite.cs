using System.Collections.Concurrent;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>What the groups of a site share.</summary>
internal sealed class GroupSite : IDisposable
{
    private readonly CancellationTokenSource _closing;

    /// <summary>Makes what is not closing yet.</summary>
    public GroupSite()
    {
        _closing = new CancellationTokenSource();
        Closing = _closing.Token;
    }

    /// <summary>This site.</summary>
    public required string Name { get; init; }

    /// <summary>Questions to other sites.</summary>
    public required GroupPost Post { get; init; }

    /// <summary>What the mesh knows.</summary>
    public required IGroupTransport Transport { get; init; }

    /// <summary>The log of all groups.</summary>
    public required IOperationLog Log { get; init; }

    /// <summary>What the groups need of it.</summary>
    public required LogRetention Retention { get; init; }

    /// <summary>Times.</summary>
    public required GroupOptions Options { get; init; }

    /// <summary>The clock of pauses and bounds; Raft's own timers are the system's.</summary>
    public required TimeProvider Time { get; init; }

    /// <summary>What the groups hold in memory of their newest entries.</summary>
    public RecentBudget Budget { get; } = new();

    /// <summary>Sites that this one has met, with the incarnation they had: each has told of all groups that the two share.</summary>
    public ConcurrentDictionary<string, Incarnation> Met { get; } = new(StringComparer.Ordinal);

    /// <summary>The incarnation of a site, this one among them; unknown for one that is not there.</summary>
    public Incarnation IncarnationOf(string site) => string.Equals(site, Name, StringComparison.Ordinal)
        ? Post.Incarnation
        : Incarnation.Of(Transport.Peer(site) is { IsUp: true } peer ? peer.Incarnation : "");

    /// <summary>The incarnation of a site, or the one with which it was met last; unknown for one that was never met.</summary>
    public Incarnation LastIncarnationOf(string site) => IncarnationOf(site) is { IsUnknown: false } now ? now : Met.GetValueOrDefault(site);

    /// <summary>Cancelled when the host closes.</summary>
    public CancellationToken Closing { get; }

    /// <summary>Whether the host closes.</summary>
    public bool IsClosing => Closing.IsCancellationRequested;

    /// <summary>The host closes.</summary>
    public void Close() => _closing.Cancel();

    /// <inheritdoc/>
    public void Dispose() => _closing.Dispose();
}
