using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Runtime.InteropServices;
using Cheops.Proto;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;
using DotNext.IO;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft.Consensus;

/// <summary>A voter as DotNext calls it: each call becomes a question to its site's host.</summary>
internal sealed class RaftMember(IMemberContext context, string site, bool isRemote) : IRaftClusterMember, IDisposable
{
    private IRaftClusterMember.ReplicationState _state;
    private bool _grantsPreVote;

    /// <summary>
    /// Whether the first pre-vote is taken as granted, where the site is reached: it fell asleep together with this one, so that
    /// no leader is disturbed. Should one lead by now after all, it does in a term that is no earlier than the vote's.
    /// </summary>
    public bool GrantsPreVote
    {
        init => _grantsPreVote = value;
    }

    /// <summary>Its site.</summary>
    public string Site => site;

    /// <summary>The last index that it is known to hold as the leader does; 0 when that is not known.</summary>
    public long MatchIndex { get; private set; }

    /// <summary>How far it was told that the leader's entries are committed.</summary>
    public long ToldCommitted { get; private set; }

    /// <inheritdoc/>
    public EndPoint EndPoint { get; } = Voters.EndPointOf(site);

    /// <inheritdoc/>
    public bool IsRemote => isRemote;

    bool IClusterMember.IsLeader => context.IsLeader(site);

    ClusterMemberStatus IClusterMember.Status => context.IsReachable(site) ? ClusterMemberStatus.Available : ClusterMemberStatus.Unavailable;

    ref IRaftClusterMember.ReplicationState IRaftClusterMember.State => ref _state;

    event Action<ClusterMemberStatusChangedEventArgs> IClusterMember.MemberStatusChanged
    {
        add { }
        remove { }
    }

    ValueTask<IReadOnlyDictionary<string, string>> IClusterMember.GetMetadataAsync(bool refresh, CancellationToken token) =>
        ValueTask.FromResult<IReadOnlyDictionary<string, string>>(new Dictionary<string, string>());

    Task<bool> IClusterMember.ResignAsync(CancellationToken token) => Task.FromResult(false);

    ValueTask IRaftClusterMember.CancelPendingRequestsAsync() => ValueTask.CompletedTask;

    async Task<Result<PreVoteResult>> IRaftClusterMember.PreVoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        var isGranted = !isRemote || (_grantsPreVote && context.IsReachable(site));
        _grantsPreVote = false;
        if (isGranted) return new Result<PreVoteResult> { Term = term, Value = PreVoteResult.Accepted };

        // DotNext hands the current term, and expects the next one at the other end.
        var question = new GroupFrame { Kind = GroupFrameKind.PreVote, A = term + 1, B = lastLogIndex, C = lastLogTerm };
        var answer = await AskAsync(question, default, context.VoteTimeout, token);
        return new Result<PreVoteResult> { Term = answer.A, Value = (PreVoteResult)Math.Min(answer.B, (long)PreVoteResult.RejectedByLeader) };
    }

    async Task<Result<bool>> IRaftClusterMember.VoteAsync(long term, long lastLogIndex, long lastLogTerm, CancellationToken token)
    {
        if (!isRemote) return new Result<bool> { Term = term, Value = true };
        var question = new GroupFrame { Kind = GroupFrameKind.Vote, A = term, B = lastLogIndex, C = lastLogTerm };
        var answer = await AskAsync(question, default, context.VoteTimeout, token);
        return new Result<bool> { Term = answer.A, Value = answer.B == 1 };
    }

    async Task<Result<ReplicationStatus>> IRaftClusterMember.AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex, CancellationToken token)
    {
        var range = (EntryRange)(object)entries;
        var start = range.Start;

        // A leader begins behind the first entry of its term, which nobody else has yet: a round without it would be in vain.
        if (MatchIndex == 0 && prevLogTerm == term && range.TermOf(prevLogIndex - 1) is { } before)
            (start, prevLogIndex, prevLogTerm) = (prevLogIndex, prevLogIndex - 1, before);

        // All of them, in as many messages as it takes: DotNext's count of what is committed takes an answer for all.
        for (var index = start; ;)
        {
            var (batch, last) = await ReadBatchAsync(range, index, token);
            var question = new GroupFrame { Kind = GroupFrameKind.Append, A = term, B = prevLogIndex, C = prevLogTerm, D = commitIndex };
            var answer = await AskAsync(question, batch, context.AppendTimeout, token);
            var result = new ReplicationStatus { Result = (HeartbeatResult)Math.Min(answer.B, (long)HeartbeatResult.UnsupportedVersion), LastIndex = answer.C };
            if (result.Result is HeartbeatResult.Rejected or HeartbeatResult.UnsupportedVersion || last >= range.End)
            {
                if (result.Result is HeartbeatResult.Replicated or HeartbeatResult.ReplicatedWithLeaderTerm) (MatchIndex, ToldCommitted) = (range.End, commitIndex);
                return new Result<ReplicationStatus> { Term = answer.A, Value = result };
            }

            (index, prevLogIndex, prevLogTerm) = (last + 1, last, range.TermOf(last) ?? -1);
        }
    }

    async Task<Result<HeartbeatResult>> IRaftClusterMember.InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex, IDataTransferObject configuration, long configurationVersion, CancellationToken token)
    {
        // A witness has none to give: the member cannot be reached with what it lacks, and who reaches no majority leads no longer.
        if (((RaftEntry)snapshot).Capture is not { } capture) throw new MemberUnavailableException(this, $"there is no snapshot for {site} here");
        var last = default(GroupFrame);
        await foreach (var (piece, number, isLast) in capture.PiecesAsync(token))
        {
            var question = new GroupFrame
            {
                Kind = GroupFrameKind.Snapshot,
                A = term,
                B = snapshotIndex,
                C = snapshot.Term,
                D = (number * 2) + (isLast ? 1 : 0),
            };
            last = await AskAsync(question, piece, isLast ? context.RestoreTimeout : context.AppendTimeout, token);
            if (last.B == (long)HeartbeatResult.Rejected) break;
        }

        // Never told as acknowledged: DotNext would count a snapshot's index beside those of whole logs.
        var isTaken = last.B != (long)HeartbeatResult.Rejected;
        return new Result<HeartbeatResult> { Term = last.A, Value = isTaken ? HeartbeatResult.Replicated : HeartbeatResult.Rejected };
    }

    async Task<long?> IRaftClusterMember.SynchronizeAsync(long commitIndex, CancellationToken token)
    {
        var answer = await AskAsync(new GroupFrame { Kind = GroupFrameKind.Barrier, A = commitIndex }, default, context.AppendTimeout, token);
        return answer.A == 1 ? answer.B : null;
    }

    /// <inheritdoc/>
    [SuppressMessage("Usage", "CA1816", Justification = "There is no finalizer.")]
    public void Dispose()
    {
        // Nothing is held.
    }

    // As many entries as one message takes, at least one when there are any.
    private async ValueTask<(byte[] Batch, long Last)> ReadBatchAsync(EntryRange range, long index, CancellationToken token)
    {
        try
        {
            var entries = new List<LoggedEntry>();
            var size = 0;
            for (; index <= range.End; index++)
            {
                var entry = await range.ReadAsync(index, token);
                if (size > 0 && size + EntryBatch.SizeOf(entry) > Bounds.GroupAppendSizeMax) break;
                size += EntryBatch.SizeOf(entry);
                entries.Add(entry);
            }

            var batch = new byte[size];
            EntryBatch.Write(batch, CollectionsMarshal.AsSpan(entries));
            return (batch, index - 1);
        }
        catch (OperationLogException e)
        {
            throw new MemberUnavailableException(this, e.Message, e);
        }
    }

    private async Task<GroupFrame> AskAsync(GroupFrame question, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken token)
    {
        try
        {
            return await context.AskAsync(site, question, body, timeout, token);
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            throw new MemberUnavailableException(this, e.Message, e);
        }
    }
}

/// <summary>What a member needs of its group.</summary>
internal interface IMemberContext
{
    /// <summary>How long a vote may take.</summary>
    TimeSpan VoteTimeout { get; }

    /// <summary>How long an append may take.</summary>
    TimeSpan AppendTimeout { get; }

    /// <summary>How long a machine may take to be replaced by a snapshot that has arrived.</summary>
    TimeSpan RestoreTimeout { get; }

    /// <summary>Whether a site leads.</summary>
    bool IsLeader(string site);

    /// <summary>Whether a site can be asked.</summary>
    bool IsReachable(string site);

    /// <summary>Asks a member.</summary>
    /// <returns>The answer; only ever one by the incarnation that belongs to the group.</returns>
    /// <exception cref="IOException">It is not reached, or refuses.</exception>
    /// <exception cref="TimeoutException">It did not answer.</exception>
    Task<GroupFrame> AskAsync(string site, GroupFrame question, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken token);
}
