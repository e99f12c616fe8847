using System.Text;
using Cheops.Raft.Protocol;

namespace Cheops.Raft.Log;

internal sealed partial class GroupLog
{
    /// <summary>
    /// Writes forward what the group needs and has before a position, so that this part of the site's log can go. Durable
    /// when it completes.
    /// </summary>
    /// <param name="before">The position.</param>
    /// <param name="end">Where the site's log may come to by this; what would take more stays where it is.</param>
    /// <param name="neededFrom">Index of the first entry that the machine needs; older ones before the position are dropped.</param>
    /// <param name="founding">How the group was founded.</param>
    /// <returns>Position of the oldest record that the group needs from now on; null when it needs too much.</returns>
    public async ValueTask<long?> ForwardAsync(long before, long end, long neededFrom, FoundingRecord founding)
    {
        await _appending.WaitAsync();
        long oldest, last;
        try
        {
            // Until the old records go these tell the same once more; after that they are all there is.
            oldest = await WriteAsync(GroupRecordKind.Founding, founding.Index, 0, founding.ToBytes());
            await WriteAsync(GroupRecordKind.Vote, 0, _term, VotedFor is { } voted ? Encoding.ASCII.GetBytes(voted) : default);
            var first = Drop(before, neededFrom, out var term);
            last = await WriteAsync(GroupRecordKind.Begin, first - 1, term, default);
            var commit = CommitIndex;
            last = await WriteAsync(GroupRecordKind.Commit, commit, 0, default);
            _recordedCommit = Math.Max(_recordedCommit, commit);
            // All up to the last one that lies there, without a gap: some were written again before, and lie further on.
            for (long index = first, until = LastBefore(before); index <= until; index++)
            {
                var entry = await ReadAsync(index);
                last = await WriteAsync(GroupRecordKind.EntryAgain, index, entry.Term, entry.Bytes);
                lock (_gate) _entries.Move(index, last);
                if (last > end) return null;
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

    // Entries that nobody here needs go; a member that still does is sent a snapshot.
    private long Drop(long before, long neededFrom, out long term)
    {
        lock (_gate)
        {
            // Also those that were written again since: they lie further on than ones that come after them.
            var first = Math.Max(_entries.First, Math.Min(Math.Min(neededFrom, _commitIndex + 1), LastBefore(before) + 1));
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
