using System.Text;
using Cheops.Proto;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft.Log;

internal sealed partial class GroupLog
{
    /// <summary>
    /// Writes forward what the group needs and has before a position, so that this part of the site's log can go. Durable
    /// when it completes.
    /// </summary>
    /// <param name="before">The position.</param>
    /// <param name="neededFrom">Index of the first entry that the machine needs; older ones before the position are dropped.</param>
    /// <param name="founding">How the group was founded.</param>
    /// <returns>Position of the oldest record that the group needs from now on.</returns>
    /// <exception cref="OperationLogException">There is no room for it, or the log failed; the old records are needed still.</exception>
    public async ValueTask<long> ForwardAsync(long before, long neededFrom, FoundingRecord founding)
    {
        await _appending.WaitAsync();
        long oldest, last;
        try
        {
            // Until the old records go these tell the same once more; after that they are all there is.
            founding = _founding ?? founding;
            oldest = await AgainAsync(GroupRecordKind.Founding, founding.Index, 0, founding.ToBytes());
            await AgainAsync(GroupRecordKind.Vote, 0, _term, VotedFor is { } voted ? Encoding.ASCII.GetBytes(voted) : default);
            var first = Drop(before, neededFrom, out var term);
            await AgainAsync(GroupRecordKind.Begin, first - 1, term, default);
            if (_restoring is { } restoring) await AgainAsync(GroupRecordKind.Restoring, restoring.Index, restoring.Term, default);
            var commit = CommitIndex;
            last = await AgainAsync(GroupRecordKind.Commit, commit, 0, default);
            _recordedCommit = Math.Max(_recordedCommit, commit);
            // All up to the last one that lies there, without a gap: some were written again before, and lie further on.
            for (long index = first, until = LastBefore(before); index <= until; index++)
            {
                var entry = await ReadAsync(index);
                last = await AgainAsync(GroupRecordKind.EntryAgain, index, entry.Term, entry.Bytes);
                lock (_gate) _entries.Move(index, last);
            }
        }
        finally
        {
            _appending.Release();
        }

        await WaitDurableAsync(last);
        lock (_gate)
        {
            for (var index = _entries.First; index <= _entries.Last; index++) oldest = Math.Min(oldest, _entries.PositionOf(index));
        }

        return oldest;
    }

    /// <summary>Position of the oldest entry that the machine needs or that is not committed; null when there is none.</summary>
    /// <param name="neededFrom">Index of the first entry that the machine needs.</param>
    public long? OldestNeeded(long neededFrom)
    {
        lock (_gate)
        {
            long? oldest = null;
            for (var index = FirstNeeded(neededFrom); index <= _entries.Last; index++) oldest = Math.Min(oldest ?? long.MaxValue, _entries.PositionOf(index));
            return oldest;
        }
    }

    /// <summary>Bytes that <see cref="ForwardAsync"/> would write, about; when it is more than a bound, some number past that.</summary>
    /// <param name="before">The position.</param>
    /// <param name="neededFrom">Index of the first entry that the machine needs.</param>
    /// <param name="max">The bound.</param>
    /// <exception cref="OperationLogException">An entry cannot be read.</exception>
    public async ValueTask<long> SizeToForwardAsync(long before, long neededFrom, long max)
    {
        long first;
        lock (_gate) first = FirstNeeded(neededFrom);
        // The five records that tell of the group itself.
        var size = 5L * Bounds.LogRecordOverhead;
        for (long index = first, until = LastBefore(before); index <= until && size <= max; index++)
            size += (await ReadAsync(index)).Bytes.Length + Bounds.LogRecordOverhead;
        return size;
    }

    private ValueTask<long> AgainAsync(GroupRecordKind kind, long index, long term, ReadOnlyMemory<byte> payload) =>
        WriteAsync(kind, index, term, payload, RoomFor.Reclaiming);

    private long FirstNeeded(long neededFrom) => Math.Max(_entries.First, Math.Min(neededFrom, _commitIndex + 1));

    // Entries that nobody here needs go; a member that still does is sent a snapshot.
    private long Drop(long before, long neededFrom, out long term)
    {
        lock (_gate)
        {
            // Also those that were written again since: they lie further on than ones that come after them.
            var first = Math.Min(FirstNeeded(neededFrom), Math.Max(_entries.First, LastBefore(before) + 1));
            _entries.DropUntil(first - 1);
            while (_recent.First < first && _recent.Find(_recent.First) is not null) _recent.DropFirst();
            while (_rosters.Count > 0 && _rosters.GetKeyAtIndex(0) < first) _rosters.RemoveAt(0);
            term = _entries.SnapshotTerm;
            return first;
        }
    }

    private long LastBefore(long before)
    {
        lock (_gate)
        {
            var last = _entries.Last;
            while (last >= _entries.First && _entries.PositionOf(last) >= before) last--;
            return last;
        }
    }
}
