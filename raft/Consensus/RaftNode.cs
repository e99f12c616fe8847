using System.Runtime.CompilerServices;
using Cheops.Raft.Protocol;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Cheops.Raft.Consensus;

/// <summary>DotNext's Raft for one group at one site, while the group is awake.</summary>
internal sealed class RaftNode : RaftCluster<RaftMember>
{
    private readonly RaftSettings _settings;

    /// <summary>Makes a node that does nothing yet.</summary>
    public RaftNode(RaftSettings settings)
        : base(settings) => _settings = settings;

    /// <summary>Whether it was started as one that never campaigns.</summary>
    public bool IsStandby => _settings.Standby;

    /// <summary>Whether this site leads; it may not know yet that it does no longer.</summary>
    public bool IsLeader => Leader is { IsRemote: false };

    /// <inheritdoc/>
    protected override ILogger Logger => NullLogger.Instance;

    /// <summary>Starts it.</summary>
    /// <param name="members">All voters, this site among them.</param>
    /// <param name="campaigns">Whether it is to campaign at once, instead of when it has not heard of a leader for a while.</param>
    /// <param name="cancellation">Cancels the starting.</param>
    public async Task StartAsync(IEnumerable<RaftMember> members, bool campaigns, CancellationToken cancellation)
    {
        var change = await ChangeConfigurationAsync(cancellation);
        foreach (var member in members) change.MarkAsAdded(member);
        await change.DisposeAsync();
        if (campaigns) ElectionTimeoutOf(this) = 1;
        await base.StartAsync(cancellation);
        StartFollowing();
        // The timer that runs keeps the short time; the vote that follows gets the whole one.
        if (campaigns) RestoreTimeout();
    }

    /// <summary>Campaigns at once, unless it leads.</summary>
    public async ValueTask CampaignAsync(CancellationToken cancellation)
    {
        if (IsLeader || Standby) return;
        ElectionTimeoutOf(this) = 1;
        try
        {
            await EnableStandbyModeAsync(cancellation);
            await RevertToNormalModeAsync(cancellation);
        }
        finally
        {
            RestoreTimeout();
        }
    }

    /// <summary>Votes for whoever asks first within a time, although it has heard of a leader lately.</summary>
    public async Task GrantAsync(TimeSpan time, CancellationToken cancellation)
    {
        ElectionTimeoutOf(this) = 1;
        try
        {
            await Task.Delay(time, cancellation);
        }
        finally
        {
            RestoreTimeout();
        }
    }

    /// <summary>Gives the leadership up.</summary>
    public new ValueTask<bool> ResignAsync(CancellationToken cancellation) => base.ResignAsync(cancellation);

    /// <summary>Takes a question about a vote that may be asked.</summary>
    public ValueTask<Result<PreVoteResult>> TakePreVoteAsync(ClusterMemberId from, GroupFrame question, CancellationToken token) =>
        PreVoteAsync(from, question.A, question.B, question.C, 1, token);

    /// <summary>Takes a question for a vote.</summary>
    public ValueTask<Result<bool>> TakeVoteAsync(ClusterMemberId from, GroupFrame question, CancellationToken token) =>
        VoteAsync(from, question.A, question.B, question.C, 1, token);

    /// <summary>Takes entries.</summary>
    public ValueTask<Result<ReplicationStatus>> TakeEntriesAsync(
        ClusterMemberId from, GroupFrame question, List<LoggedEntry> entries, CancellationToken token) =>
        AppendEntriesAsync(from, question.A, new ReceivedEntries(entries), question.B, question.C, question.D, 1, token);

    /// <summary>How far is committed, when this site leads; null when it does not.</summary>
    public ValueTask<long?> TakeBarrierAsync(GroupFrame question, CancellationToken token) => SynchronizeAsync(question.A, token);

    private void RestoreTimeout() => ElectionTimeoutOf(this) = _settings.ElectionTimeout.UpperValue;

    // No public member makes a node campaign. The version of the package is pinned, and tests elect leaders.
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "electionTimeout")]
    private static extern ref int ElectionTimeoutOf(RaftCluster<RaftMember> cluster);
}

/// <summary>What a node is started with.</summary>
internal sealed class RaftSettings : IClusterMemberConfiguration
{
    /// <summary>Shortest and longest time without a leader before a node campaigns.</summary>
    public required ElectionTimeout ElectionTimeout { get; init; }

    /// <summary>Whether it never campaigns.</summary>
    public required bool Standby { get; init; }

    /// <summary>Share of the shortest election time between two heartbeats of a leader.</summary>
    public double HeartbeatThreshold => 0.3;

    /// <inheritdoc/>
    public bool IsLeaderLeaseEnabled => false;
}
