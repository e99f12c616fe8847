using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft.Log;

internal sealed partial class GroupLog
{
    /// <summary>
    /// At the leader: appends an entry of its term. Completes when the entry has its place, not when it is durable: the
    /// leader counts its own copy when <see cref="CommitAsync"/> has waited for it.
    /// </summary>
    /// <param name="term">The term in which this site leads.</param>
    /// <param name="kind">What the entry is.</param>
    /// <param name="data">What it carries; copied.</param>
    /// <param name="room">What of the room in the site's log it may take.</param>
    /// <param name="cancellation">Cancels the waiting; then nothing was appended.</param>
    /// <returns>Its index; 0 when the term has passed, and nothing was appended.</returns>
    public async ValueTask<long> TryAppendAsync(
        long term, EntryKind kind, ReadOnlyMemory<byte> data, RoomFor room = RoomFor.Record, CancellationToken cancellation = default)
    {
        await _appending.WaitAsync(cancellation);
        try
        {
            // No other leader has appended anything in this term, and none can: terms change under the same semaphore.
            long index, known;
            lock (_gate)
            {
                if (_term != term) return 0;
                (index, known) = (_entries.Last + 1, _commitIndex);
            }

            await AppendAsync(index, LoggedEntry.Make(term, kind, known, data.Span), room, cancellation);
            return index;
        }
        finally
        {
            _appending.Release();
        }
    }

    /// <summary>
    /// At a follower: takes entries from the leader. An entry that is there with the same term is passed over; one with
    /// another term is dropped with all after it, unless it is committed. Durable when it completes.
    /// </summary>
    /// <param name="start">Index of the first of them; not past the end of the log.</param>
    /// <param name="entries">The entries.</param>
    /// <param name="cancellation">Cancels the waiting; some of them may have been appended.</param>
    public async ValueTask TakeAsync(long start, IReadOnlyList<LoggedEntry> entries, CancellationToken cancellation = default)
    {
        if (entries.Count == 0) return;
        var last = start + entries.Count - 1;
        await _appending.WaitAsync(cancellation);
        long position;
        try
        {
            for (var index = start; index <= last; index++)
            {
                var entry = entries[(int)(index - start)];
                if (!IsThere(index, entry.Term)) await AppendAsync(index, entry, RoomFor.Record, cancellation);
            }

            lock (_gate)
            {
                if (last < _entries.First) return;
                position = _entries.PositionOf(last);
            }
        }
        finally
        {
            _appending.Release();
        }

        if (position >= _log.DurableUntil) await WaitDurableAsync(position);
    }

    /// <summary>
    /// Everything up to an entry is replaced by a snapshot, which the machine has taken over; durable when it completes.
    /// </summary>
    public async ValueTask ReplaceAsync(long index, long term)
    {
        await _appending.WaitAsync();
        long position;
        try
        {
            position = await WriteAsync(GroupRecordKind.Snapshot, index, term, default);
            _restoring = null;
            lock (_gate)
            {
                _recent.Clear();
                if (index >= _entries.First && _entries.TermOf(index) == term) _entries.DropUntil(index);
                else _entries.Reset(index, term);
                _commitIndex = Math.Max(_commitIndex, index);
                _recordedCommit = Math.Max(_recordedCommit, index);
            }
        }
        finally
        {
            _appending.Release();
        }

        await WaitDurableAsync(position);
    }

    /// <summary>Notes that the machine is about to be replaced by a snapshot; durable when it completes.</summary>
    public async ValueTask RecordRestoringAsync(long index, long term)
    {
        await _appending.WaitAsync();
        long position;
        try
        {
            position = await WriteAsync(GroupRecordKind.Restoring, index, term, default);
            _restoring = (index, term);
        }
        finally
        {
            _appending.Release();
        }

        await WaitDurableAsync(position);
    }

    private bool IsThere(long index, long term)
    {
        lock (_gate)
        {
            if (index > _entries.Last + 1) throw new InvalidOperationException($"entry {index} would leave a gap after {_entries.Last}");
            return index <= _commitIndex || _entries.TermOf(index) == term;
        }
    }

    private async ValueTask AppendAsync(long index, LoggedEntry entry, RoomFor room, CancellationToken cancellation)
    {
        var position = await WriteAsync(GroupRecordKind.Entry, index, entry.Term, entry.Bytes, room, cancellation);
        lock (_gate)
        {
            _entries.DropFrom(index);
            _recent.DropFrom(index);
            while (_rosters.Count > 0 && _rosters.GetKeyAtIndex(_rosters.Count - 1) >= index) _rosters.RemoveAt(_rosters.Count - 1);
            if (entry.Kind == EntryKind.Roster && FoundingRecord.Read(entry.Data.Span) is { } roster) _rosters.Add(index, roster);
            _entries.Add(entry.Term, position);
            _recent.Add(index, entry);
            _recordedCommit = Math.Max(_recordedCommit, entry.CommitIndex);
            Trim();
        }
    }

    // What is not durable cannot be read from the log yet.
    private void Trim()
    {
        var durable = _log.DurableUntil;
        while (_recent.HoldsTooMuch && (_recent.First < _entries.First || _entries.PositionOf(_recent.First) < durable)) _recent.DropFirst();
    }
}
