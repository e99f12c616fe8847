using Cheops.Raft.Log;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>What the groups of a site share.</summary>
internal sealed class GroupSite : IDisposable
{
    private readonly CancellationTokenSource _closing = new();

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

    /// <summary>Cancelled when the host closes.</summary>
    public CancellationToken Closing => _closing.Token;

    /// <summary>Whether the host closes.</summary>
    public bool IsClosing => _closing.IsCancellationRequested;

    /// <summary>The host closes.</summary>
    public void Close() => _closing.Cancel();

    /// <inheritdoc/>
    public void Dispose() => _closing.Dispose();
}
