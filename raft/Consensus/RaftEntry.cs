using System.Collections;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using DotNext.IO;
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft.Consensus;

/// <summary>An entry as DotNext sees it: its term. Its bytes never pass through DotNext.</summary>
internal sealed class RaftEntry(long term) : IRaftLogEntry
{
    /// <summary>The entry, where it is at hand.</summary>
    public LoggedEntry? Entry { get; init; }

    /// <summary>The snapshot that it stands for, where this site has begun one; null where it has none to give.</summary>
    public MachineCapture? Capture { get; init; }

    /// <inheritdoc/>
    public long Term { get; } = term;

    /// <inheritdoc/>
    public bool IsSnapshot { get; init; }

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => Entry?.Bytes.Length ?? 0;

    ValueTask IDataTransferObject.WriteToAsync<TWriter>(TWriter writer, CancellationToken token) =>
        throw new NotSupportedException("entries are sent by the group's members");
}

/// <summary>Entries that a member is to be sent, read when they are.</summary>
internal sealed class EntryRange(GroupLog log, long start, long end) : IReadOnlyList<RaftEntry>
{
    /// <summary>Index of the first.</summary>
    public long Start => start;

    /// <summary>Index of the last; before the first when there are none.</summary>
    public long End => end;

    /// <summary>Reads one of them.</summary>
    public ValueTask<LoggedEntry> ReadAsync(long index, CancellationToken cancellation) => log.ReadAsync(index, cancellation);

    /// <summary>The term of an entry, also of one before them; null when it is not known any more.</summary>
    public long? TermOf(long index) => log.TermOf(index);

    /// <inheritdoc/>
    public int Count => (int)(end - start + 1);

    /// <inheritdoc/>
    public RaftEntry this[int index] => new(log.TermOf(start + index) ?? -1);

    /// <inheritdoc/>
    public IEnumerator<RaftEntry> GetEnumerator() => Enumerable.Range(0, Count).Select(i => this[i]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>Entries that have come from the leader.</summary>
internal sealed class ReceivedEntries(List<LoggedEntry> entries) : ILogEntryProducer<RaftEntry>
{
    private int _next;

    /// <inheritdoc/>
    public RaftEntry Current { get; private set; } = new(0);

    /// <inheritdoc/>
    public long RemainingCount => entries.Count - _next;

    /// <inheritdoc/>
    public ValueTask<bool> MoveNextAsync()
    {
        if (_next == entries.Count) return ValueTask.FromResult(false);
        var entry = entries[_next++];
        Current = new RaftEntry(entry.Term) { Entry = entry };
        return ValueTask.FromResult(true);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
