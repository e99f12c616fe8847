using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;
using DotNext.IO.Log;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;
using DotNext.Net.Cluster.Consensus.Raft.StateMachine;

namespace Cheops.Raft.Consensus;

/// <summary>
/// Shows a <see cref="GroupLog"/> to DotNext's Raft. <see cref="IPersistentState"/> cannot be implemented directly, since
/// one of its members is internal: so this derives from DotNext's own log, implements every member anew, and is made
/// without running a constructor, so that the base opens no file and starts no task.
/// </summary>
internal sealed class AuditTrail : WriteAheadLog, IPersistentState, IAuditTrail<IRaftLogEntry>, IAuditTrail
{
    private GroupLog _log;
    private IApplied _applied;
    private Voters _voters;
    private Action<Exception> _failed;

    private AuditTrail()
        : base(null!, null!) => (_log, _applied, _voters, _failed) = (null!, null!, null!, null!);

    /// <summary>Makes one.</summary>
    /// <param name="log">The group's log.</param>
    /// <param name="applied">Its machine.</param>
    /// <param name="voters">Its voters.</param>
    /// <param name="failed">Told when DotNext could not write what it must: it is stuck then, and has to be started anew.</param>
    public static AuditTrail Make(GroupLog log, IApplied applied, Voters voters, Action<Exception> failed)
    {
        var trail = (AuditTrail)RuntimeHelpers.GetUninitializedObject(typeof(AuditTrail));
        (trail._log, trail._applied, trail._voters, trail._failed) = (log, applied, voters, failed);
        return trail;
    }

    bool IAuditTrail.IsLogEntryLengthAlwaysPresented => true;

    long IAuditTrail.LastCommittedEntryIndex => _log.CommitIndex;

    long IAuditTrail.LastEntryIndex => _log.LastIndex;

    long IPersistentState.Term => _log.Term;

    int IPersistentState.Version => 1;

    bool IPersistentState.IsVotedFor(in ClusterMemberId id) => _log.VotedFor is not { } voted || _voters.IdOf(voted) == id;

    ValueTask<long> IPersistentState.IncrementTermAsync(ClusterMemberId member, CancellationToken token) =>
        Guard(_log.CampaignAsync(_voters.SiteOf(member)));

    ValueTask IPersistentState.UpdateTermAsync(long term, bool resetLastVote, CancellationToken token) =>
        Guard(_log.VoteAsync(term, resetLastVote ? null : _log.VotedFor));

    ValueTask IPersistentState.UpdateVotedForAsync(ClusterMemberId member, CancellationToken token) =>
        Guard(_log.VoteAsync(_log.Term, _voters.SiteOf(member)));

    Task IAuditTrail.InitializeAsync(CancellationToken token) => Task.CompletedTask;

    ValueTask<long> IAuditTrail.CommitAsync(long endIndex, CancellationToken token) => Guard(_log.CommitAsync(endIndex));

    ValueTask IAuditTrail.WaitForApplyAsync(CancellationToken token) => new(_applied.WaitAsync(_applied.Index + 1).WaitAsync(token));

    ValueTask IAuditTrail.WaitForApplyAsync(long index, CancellationToken token) => new(_applied.WaitAsync(index).WaitAsync(token));

    ValueTask<TResult> IAuditTrail<IRaftLogEntry>.ReadAsync<TResult>(
        ILogEntryConsumer<IRaftLogEntry, TResult> reader, long startIndex, long endIndex, CancellationToken token)
    {
        if (reader.LogEntryMetadataOnly) return reader.ReadAsync<RaftEntry, RaftEntry[]>(Terms(startIndex, endIndex), null, token);
        if (startIndex >= _log.FirstIndex) return reader.ReadAsync<RaftEntry, EntryRange>(new EntryRange(_log, startIndex, endIndex), null, token);
        return ReadSnapshotAsync(reader, token);
    }

    // What the member needs is only in the machine by now.
    private async ValueTask<TResult> ReadSnapshotAsync<TResult>(ILogEntryConsumer<IRaftLogEntry, TResult> reader, CancellationToken token)
    {
        await using var capture = await _applied.CaptureAsync(token);
        var index = capture?.Index ?? _applied.Index;
        var snapshot = new RaftEntry(_log.TermOf(index) ?? -1) { IsSnapshot = true, Capture = capture };
        return await reader.ReadAsync<RaftEntry, RaftEntry[]>([snapshot], index, token);
    }

    ValueTask<TResult> IAuditTrail.ReadAsync<TResult>(
        ILogEntryConsumer<ILogEntry, TResult> reader, long startIndex, long endIndex, CancellationToken token) =>
        ((IAuditTrail<IRaftLogEntry>)this).ReadAsync(reader, startIndex, endIndex, token);

    async ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<TEntryImpl>(
        ILogEntryProducer<TEntryImpl> entries, long startIndex, bool skipCommitted, CancellationToken token)
    {
        var taken = new List<LoggedEntry>((int)entries.RemainingCount);
        while (await entries.MoveNextAsync()) taken.Add(((RaftEntry)(object)entries.Current).Entry!);
        await _log.TakeAsync(startIndex, taken, token);
    }

    ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<TEntryImpl>(TEntryImpl entry, long startIndex, CancellationToken token) =>
        throw new NotSupportedException("snapshots are taken by the group");

    async ValueTask<long> IAuditTrail<IRaftLogEntry>.AppendAsync<TEntryImpl>(TEntryImpl entry, CancellationToken token)
    {
        // DotNext appends by itself only the entry with which a leader's term begins; all others come from the group.
        var index = await Guard(_log.TryAppendAsync(entry.Term, EntryKind.Begin, default, cancellation: token));
        return index > 0 ? index : throw new OperationCanceledException($"term {entry.Term} has passed");
    }

    // The terms of entries that a snapshot replaces are not known: none is like another's, so that a member which has
    // other ones is sent the snapshot.
    private RaftEntry[] Terms(long startIndex, long endIndex)
    {
        var terms = new RaftEntry[endIndex - startIndex + 1];
        for (var i = 0; i < terms.Length; i++) terms[i] = new RaftEntry(_log.TermOf(startIndex + i) ?? -1);
        return terms;
    }

    private async ValueTask<T> Guard<T>(ValueTask<T> write)
    {
        try
        {
            return await write;
        }
        catch (OperationLogException e)
        {
            _failed(e);
            throw;
        }
    }

    private async ValueTask Guard(ValueTask write)
    {
        try
        {
            await write;
        }
        catch (OperationLogException e)
        {
            _failed(e);
            throw;
        }
    }

    /// <inheritdoc/>
    [SuppressMessage("Usage", "CA2215", Justification = "The base was never constructed: there is nothing of it to dispose of.")]
    protected override void Dispose(bool disposing)
    {
    }

    /// <inheritdoc/>
    [SuppressMessage("Usage", "CA2215", Justification = "The base was never constructed: there is nothing of it to dispose of.")]
    protected override ValueTask DisposeAsyncCore() => ValueTask.CompletedTask;
}

/// <summary>How far a group's machine has applied the log.</summary>
internal interface IApplied
{
    /// <summary>Index of the last entry that was applied.</summary>
    long Index { get; }

    /// <summary>Completes when the entry was applied.</summary>
    Task WaitAsync(long index);

    /// <summary>Begins a snapshot of what is applied; null where the machine holds only a part of what the sites' machines do.</summary>
    ValueTask<MachineCapture?> CaptureAsync(CancellationToken cancellation);
}
