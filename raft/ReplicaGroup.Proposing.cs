using Cheops.Proto;
using Cheops.Raft.Consensus;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    private int _proposing;

    /// <inheritdoc/>
    public async ValueTask<long> ProposeAsync(ReadOnlyMemory<byte> entry, bool drawsLead, CancellationToken cancellation = default)
    {
        if (entry.Length > Bounds.GroupEntrySizeMax)
        {
            throw new GroupException(
                GroupError.TooLarge, $"an entry has at most {Bounds.GroupEntrySizeMax} bytes, not {entry.Length}");
        }

        return await WithinBoundAsync(deadline => ProposeOnceAsync(entry, drawsLead, deadline, cancellation), cancellation);
    }

    /// <inheritdoc/>
    public async ValueTask BarrierAsync(CancellationToken cancellation = default) =>
        await WithinBoundAsync(deadline => PassBarrierAsync(deadline, cancellation), cancellation);

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(long index, CancellationToken cancellation = default)
    {
        try
        {
            return (await _log.ReadAsync(index, cancellation)).Data;
        }
        catch (OperationLogException e)
        {
            throw new GroupException(ErrorOf(e), e.Message, cause: e);
        }
    }

    // Tries again while nothing has been appended anywhere, until it is done or the bound has passed.
    private async ValueTask<long> WithinBoundAsync(Func<Deadline, ValueTask<long>> attempt, CancellationToken cancellation)
    {
        var deadline = new Deadline(_site.Time, _site.Options.ProposeTimeMax);
        if (Interlocked.Increment(ref _proposing) > Bounds.GroupProposalsMax)
        {
            Interlocked.Decrement(ref _proposing);
            throw new GroupException(GroupError.Busy, $"{Bounds.GroupProposalsMax} proposals to group {Id} are under way here");
        }

        try
        {
            while (true)
            {
                Touch();
                if (await attempt(deadline) is > 0 and var index) return index;
                cancellation.ThrowIfCancellationRequested();
                if (_site.IsClosing) throw new GroupException(GroupError.Closed, $"the host of group {Id} is closing");
                if (deadline.IsPast) throw new GroupException(GroupError.NoMajority, $"group {Id} has no leader: {NoLeaderReason()}");
            }
        }
        finally
        {
            Interlocked.Decrement(ref _proposing);
            Touch();
        }
    }

    // The index; 0 when nothing was appended for want of a leader.
    private async ValueTask<long> ProposeOnceAsync(ReadOnlyMemory<byte> entry, bool drawsLead, Deadline deadline, CancellationToken cancellation)
    {
        var node = await WakeAsync(campaigns: true, cancellation);
        if (await LeadingTermAsync(node, cancellation) is { } term)
        {
            // What is appended while no majority is there may be committed long after whoever proposed it was told.
            if (!ReachesMajority) return await PauseAsync(cancellation);
            var index = await AppendHereAsync(term, entry, drawsLead, cancellation);
            if (index == 0) return 0;
            if (drawsLead) CountFrom(_site.Name);
            return await AppliedAsync(index, term, deadline, cancellation);
        }

        if (node.Leader is not { IsRemote: true } leader) return await WaitForLeaderAsync(node, cancellation);
        return await ProposeThereAsync(leader.Site, entry, drawsLead, deadline, cancellation);
    }

    private async ValueTask<long> AppendHereAsync(long term, ReadOnlyMemory<byte> entry, bool begins, CancellationToken cancellation)
    {
        try
        {
            var index = await _log.TryAppendAsync(term, EntryKind.Proposed, entry, begins ? RoomFor.Beginning : RoomFor.Record, cancellation);
            _pumpSignal?.Writer.TryWrite(0);
            return index;
        }
        catch (OperationLogException e)
        {
            throw new GroupException(ErrorOf(e), e.Message, cause: e);
        }
    }

    private async ValueTask<long> ProposeThereAsync(
        string leader, ReadOnlyMemory<byte> entry, bool drawsLead, Deadline deadline, CancellationToken cancellation)
    {
        GroupMessage answer;
        try
        {
            if (!IsReachable(leader)) return await PauseAsync(cancellation);
            answer = await AskAnyAsync(leader, new GroupFrame { Kind = GroupFrameKind.Propose, A = drawsLead ? 1 : 0 }, entry, deadline.Left, cancellation);
        }
        catch (TimeoutException e)
        {
            throw new GroupException(GroupError.Unknown, $"{leader}, which leads group {Id}, did not answer", false, e);
        }
        catch (IOException e) when (e is not GroupException)
        {
            return _site.IsClosing ? throw new GroupException(GroupError.Unknown, e.Message, false, e) : await PauseAsync(cancellation);
        }

        var (index, term, isCommitted) = (answer.Frame.A, answer.Frame.B, answer.Frame.C == 1);
        switch (answer.Frame.Kind, (GroupRefusal)answer.Frame.A)
        {
            case (GroupFrameKind.Refused, GroupRefusal.Busy):
                throw new GroupException(GroupError.Busy, $"{leader}, which leads group {Id}, has too much to do");
            case (GroupFrameKind.Refused, GroupRefusal.Full):
                throw new GroupException(GroupError.Full, $"the disk of {leader}, which leads group {Id}, is full; free some room there");
            case (GroupFrameKind.Refused, _):
                return await PauseAsync(cancellation);
        }

        if (isCommitted && _log.TermOf(index) == term) await _log.CommitAsync(index);
        return await AppliedAsync(index, term, deadline, cancellation);
    }

    // Whether the entry that was applied at its index is the one that was appended there; 0 when it surely is not.
    private async ValueTask<long> AppliedAsync(long index, long term, Deadline deadline, CancellationToken cancellation)
    {
        try
        {
            await _applier.WaitAsync(index).WaitAsync(deadline.Left, _site.Time, cancellation);
        }
        catch (TimeoutException e)
        {
            throw new GroupException(GroupError.Unknown, $"entry {index} of group {Id} was not committed in time, but may still be", false, e);
        }

        var applied = _log.TermOf(index);
        if (applied == term) return index;
        return applied is not null ? 0 : throw new GroupException(
            GroupError.Unknown, $"entry {index} of group {Id} came here as part of a snapshot: whether it is the proposed one is not known", false);
    }

    private async ValueTask<long> PassBarrierAsync(Deadline deadline, CancellationToken cancellation)
    {
        var node = await WakeAsync(campaigns: true, cancellation);
        if (await LeadingTermAsync(node, cancellation) is null && node.Leader is not { IsRemote: true })
            return await WaitForLeaderAsync(node, cancellation);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var timer = _site.Time.CreateTimer(static s => ((CancellationTokenSource)s!).Cancel(), timeout, deadline.Left, Timeout.InfiniteTimeSpan);
        try
        {
            await node.ApplyReadBarrierAsync(ReadBarrierType.Strong, timeout.Token);
            return 1;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e) when (e is QuorumUnreachableException or MemberUnavailableException or NotLeaderException or ObjectDisposedException)
        {
            return await PauseAsync(cancellation);
        }
    }

    // The term in which this site leads and may append; null when it does not.
    private async ValueTask<long?> LeadingTermAsync(RaftNode node, CancellationToken cancellation)
    {
        // Read first: should this site lead by then in a later term, nothing is appended in this one.
        var term = _log.CandidateTerm;
        if (!node.IsLeader) return null;
        if (IsLive(node)) return term;
        try
        {
            await node.WaitForLeadershipAsync(cancellation).WaitAsync(_site.Options.ElectionTimeMin, _site.Time, cancellation);
        }
        catch (Exception e) when (e is TimeoutException or ObjectDisposedException or QuorumUnreachableException or System.Diagnostics.UnreachableException)
        {
            return null;
        }

        term = _log.CandidateTerm;
        return IsLive(node) ? term : null;
    }

    private static async ValueTask<long> WaitForLeaderAsync(RaftNode node, CancellationToken cancellation)
    {
        try
        {
            await node.WaitForLeaderAsync(TimeSpan.FromMilliseconds(100), cancellation);
        }
        catch (Exception e) when (e is TimeoutException or ObjectDisposedException or QuorumUnreachableException)
        {
            // Perhaps the node was stopped: the next attempt starts another.
        }

        return 0;
    }

    private async ValueTask<long> PauseAsync(CancellationToken cancellation)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(10), _site.Time, cancellation);
        return 0;
    }

    private string NoLeaderReason() => Problem(Volatile.Read(ref _node)) is { Length: > 0 } problem ? problem : "an election takes too long";

    private static GroupError ErrorOf(OperationLogException e) => e.Error switch
    {
        OperationLogError.Full => GroupError.Full,
        OperationLogError.Busy => GroupError.Busy,
        OperationLogError.TooLarge => GroupError.TooLarge,
        _ => GroupError.Closed,
    };

    private readonly record struct Deadline(TimeProvider Time, TimeSpan Bound)
    {
        private readonly long _begun = Time.GetTimestamp();

        public TimeSpan Left => Bound - Time.GetElapsedTime(_begun) is { Ticks: > 0 } left ? left : TimeSpan.FromMilliseconds(1);

        public bool IsPast => Time.GetElapsedTime(_begun) >= Bound;
    }
}
