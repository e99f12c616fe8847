using System.Diagnostics.CodeAnalysis;
using System.Text;
using Cheops.Proto.Operations;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft.Log;

/// <summary>
/// One group's log in the log of its site: entries, term and vote, and how far it is committed. Knows nothing of Raft's
/// rules but what a record means. Safe for use by many at once.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "A semaphore without a wait handle holds nothing to dispose of.")]
internal sealed partial class GroupLog
{
    private readonly IOperationLog _log;
    private readonly EntryIndex _entries;
    private readonly RecentEntries _recent;

    // Held while a record is given its place, so that entries lie in the order of their indices.
    private readonly SemaphoreSlim _appending = new(1, 1);

    // Guards all that can change below; never held while anything is awaited.
    private readonly Lock _gate = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _commitWaiters = new();
    private readonly SortedList<long, FoundingRecord> _rosters = [];
    private long _term;
    private long _candidateTerm;
    private string? _votedFor;
    private long _commitIndex;
    private long _recordedCommit;
    private FoundingRecord? _founding;
    private (long Index, long Term)? _restoring;

    /// <summary>Makes the log of what was found, or of a group without records.</summary>
    /// <param name="id">The group.</param>
    /// <param name="log">The site's log.</param>
    /// <param name="recovered">What was found; complete.</param>
    /// <param name="budget">What the groups of the site hold in memory.</param>
    /// <param name="appliedIndex">Index of the last entry that the machine has applied durably: it is committed.</param>
    public GroupLog(GroupId id, IOperationLog log, RecoveredGroup recovered, RecentBudget budget, long appliedIndex)
    {
        (Id, _log, _entries, _recent) = (id, log, recovered.Entries, new RecentEntries(budget));
        (_term, _votedFor) = (recovered.Term, recovered.VotedFor);
        _restoring = recovered.Restoring;
        _commitIndex = Math.Min(Math.Max(recovered.CommitIndex, appliedIndex), _entries.Last);
        _commitIndex = Math.Max(_commitIndex, _entries.First - 1);
        foreach (var (index, roster) in recovered.Rosters) _rosters.Add(index, roster);
        _recordedCommit = _commitIndex;
    }

    /// <summary>The group.</summary>
    public GroupId Id { get; }

    /// <summary>Called, outside of any lock, when more is committed.</summary>
    public Action<long>? Committed { get; set; }

    /// <summary>The term.</summary>
    public long Term
    {
        get
        {
            lock (_gate) return _term;
        }
    }

    /// <summary>The last term in which this site campaigned: the only one in which it can lead.</summary>
    public long CandidateTerm => Volatile.Read(ref _candidateTerm);

    /// <summary>Whom this site has voted for in the term; null for nobody.</summary>
    public string? VotedFor
    {
        get
        {
            lock (_gate) return _votedFor;
        }
    }

    /// <summary>Index of the first entry that is there.</summary>
    public long FirstIndex
    {
        get
        {
            lock (_gate) return _entries.First;
        }
    }

    /// <summary>Index of the last entry.</summary>
    public long LastIndex
    {
        get
        {
            lock (_gate) return _entries.Last;
        }
    }

    /// <summary>Index of the last entry known as committed.</summary>
    public long CommitIndex
    {
        get
        {
            lock (_gate) return _commitIndex;
        }
    }

    /// <summary>Last index and its term, as one.</summary>
    public (long Index, long Term) Last
    {
        get
        {
            lock (_gate) return (_entries.Last, _entries.TermOf(_entries.Last) ?? 0);
        }
    }

    /// <summary>What the first entry after <paramref name="index"/> says that changes the members' incarnations; null when there is none.</summary>
    public FoundingRecord? RosterAfter(long index)
    {
        lock (_gate)
        {
            foreach (var (at, roster) in _rosters)
            {
                if (at > index) return roster;
            }

            return null;
        }
    }

    /// <summary>The term of an entry; null when it is not there any more, or not yet.</summary>
    public long? TermOf(long index)
    {
        lock (_gate) return _entries.TermOf(index);
    }

    /// <summary>The term and vote are changed; durable when it completes.</summary>
    public async ValueTask VoteAsync(long term, string? votedFor)
    {
        await _appending.WaitAsync();
        long position;
        try
        {
            position = await WriteAsync(GroupRecordKind.Vote, 0, term, votedFor is null ? default : Encoding.ASCII.GetBytes(votedFor));
            lock (_gate) (_term, _votedFor) = (term, votedFor);
        }
        finally
        {
            _appending.Release();
        }

        await WaitDurableAsync(position);
    }

    /// <summary>This site begins to campaign in the next term, voting for itself; durable when it completes.</summary>
    /// <returns>The term.</returns>
    public async ValueTask<long> CampaignAsync(string site)
    {
        var term = Term + 1;
        Volatile.Write(ref _candidateTerm, term);
        await VoteAsync(term, site);
        return term;
    }

    /// <summary>Reads an entry.</summary>
    /// <exception cref="OperationLogException">It is not there, or cannot be read.</exception>
    public async ValueTask<LoggedEntry> ReadAsync(long index, CancellationToken cancellation = default)
    {
        long position, term;
        lock (_gate)
        {
            if (_recent.Find(index) is { } held) return held;
            if (index < _entries.First || index > _entries.Last)
            {
                throw new OperationLogException(
                    OperationLogError.NoRecord, $"group {Id} holds entries {_entries.First} to {_entries.Last}, not {index}");
            }

            (position, term) = (_entries.PositionOf(index), _entries.TermOf(index)!.Value);
        }

        var record = await _log.ReadAsync(position, cancellation);
        return LoggedEntry.Read(term, record.Payload)
            ?? throw new OperationLogException(OperationLogError.Damaged, $"entry {index} of group {Id} at position {position} is none");
    }

    /// <summary>
    /// What is committed is known; completes when this site's own entries up to there are durable. Never goes back.
    /// </summary>
    /// <returns>How many entries were not known as committed before.</returns>
    public async ValueTask<long> CommitAsync(long index)
    {
        long position;
        lock (_gate)
        {
            index = Math.Min(index, _entries.Last);
            if (index <= _commitIndex) return 0;
            position = _entries.PositionOf(index);
        }

        if (position >= _log.DurableUntil) await WaitDurableAsync(position);
        long before;
        lock (_gate)
        {
            before = _commitIndex;
            if (index <= before) return 0;
            _commitIndex = index;
            while (_commitWaiters.TryPeek(out _, out var awaited) && awaited <= index) _commitWaiters.Dequeue().TrySetResult();
        }

        Committed?.Invoke(index);
        return index - before;
    }

    /// <summary>Completes when the entry at an index is committed; at once when it is.</summary>
    public Task WaitCommittedAsync(long index)
    {
        lock (_gate)
        {
            if (index <= _commitIndex) return Task.CompletedTask;
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _commitWaiters.Enqueue(waiter, index);
            return waiter.Task;
        }
    }

    /// <summary>Records how far the group is committed, as far as no record tells yet; not durable when it completes.</summary>
    public async ValueTask RecordCommitAsync()
    {
        var index = CommitIndex;
        if (index <= _recordedCommit) return;
        await WriteAsync(GroupRecordKind.Commit, index, 0, default);
        _recordedCommit = index;
    }

    /// <summary>Records how the group was founded; durable when it completes.</summary>
    /// <returns>The record's position.</returns>
    public async ValueTask<long> RecordFoundingAsync(FoundingRecord founding, RoomFor room = RoomFor.Record)
    {
        await _appending.WaitAsync();
        long position;
        try
        {
            position = await WriteAsync(GroupRecordKind.Founding, founding.Index, 0, founding.ToBytes(), room);
            _founding = founding;
        }
        finally
        {
            _appending.Release();
        }

        await WaitDurableAsync(position);
        return position;
    }

    /// <summary>Lets go of the entries in memory; they are read from the log from now on.</summary>
    public void Forget()
    {
        lock (_gate)
        {
            if (_entries.Last < _entries.First || _entries.PositionOf(_entries.Last) < _log.DurableUntil) _recent.Clear();
        }
    }

    private ValueTask<long> WriteAsync(
        GroupRecordKind kind, long index, long term, ReadOnlyMemory<byte> payload, RoomFor room = RoomFor.Record, CancellationToken cancellation = default)
    {
        var record = new LogRecord { Group = Id, Kind = (byte)kind, Index = (ulong)index, Term = (ulong)term, Payload = payload };
        return _log.AppendAsync(record, room, cancellation);
    }

    private ValueTask WaitDurableAsync(long position) => _log.WaitDurableAsync(position);
}
