using System.Buffers;

namespace Cheops.Store.Table;

/// <summary>
/// The table of what a site knows of its replicants, larger than memory: bytes to bytes, with the index of its keys in
/// memory, so that "not there" is nearly always told without the disk.
/// </summary>
/// <remarks>
/// Writes are not durable by themselves: <see cref="CheckpointAsync"/> makes everything written before it durable, and
/// who writes can make again whatever came after the last checkpoint (from the operation log). Reads may go on from any
/// thread; writes come from one at a time per key. A read that needs the disk blocks its thread for that one read, so it
/// is not for the threads that serve sockets; <see cref="MayHold"/> is.
/// </remarks>
public interface IReplicantTable : IAsyncDisposable
{
    /// <summary>What was handed to the last checkpoint that was found at the start; empty for a new table.</summary>
    ReadOnlyMemory<byte> Mark { get; }

    /// <summary>Why the table found on disk could not be used and an empty one was begun; null when nothing was wrong.</summary>
    string? Damage { get; }

    /// <summary>Keys that are there.</summary>
    long Count { get; }

    /// <summary>Bytes that the table takes on disk.</summary>
    long DiskBytes { get; }

    /// <summary>
    /// Whether the key may be there; false is certain. Answered from memory, in well under a microsecond, without
    /// allocating and without blocking.
    /// </summary>
    bool MayHold(ReadOnlySpan<byte> key);

    /// <summary>Whether any of several keys may be there that differ in their first bytes alone; false is certain.</summary>
    /// <param name="key">The key; its first byte is overwritten.</param>
    /// <param name="firsts">The first bytes, in the order in which they are looked for.</param>
    bool MayHoldAny(Span<byte> key, ReadOnlySpan<byte> firsts)
    {
        foreach (var first in firsts)
        {
            key[0] = first;
            if (MayHold(key)) return true;
        }

        return false;
    }

    /// <summary>Reads a value; false when the key is not there.</summary>
    /// <param name="key">1 to <see cref="Proto.Bounds.TableKeySizeMax"/> bytes.</param>
    /// <param name="value">Where the value is appended.</param>
    /// <exception cref="TableException">The disk failed, or what is on it has changed: the next start then begins with an empty table.</exception>
    bool TryGet(ReadOnlySpan<byte> key, IBufferWriter<byte> value);

    /// <summary>Writes a value, in place of one that is there.</summary>
    /// <param name="key">1 to <see cref="Proto.Bounds.TableKeySizeMax"/> bytes.</param>
    /// <param name="value">At most <see cref="Proto.Bounds.TableValueSizeMax"/> bytes.</param>
    /// <exception cref="TableException">The disk is full or failed; nothing was written.</exception>
    void Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value);

    /// <summary>Removes a key; nothing happens when it is not there.</summary>
    /// <exception cref="TableException">The disk is full or failed; nothing was removed.</exception>
    void Remove(ReadOnlySpan<byte> key);

    /// <summary>
    /// Visits each key that is there once, in no particular order, until the visitor says false. What is written meanwhile
    /// may be seen or not; a checkpoint waits until the visit is over. May take long: it reads all of the table.
    /// </summary>
    /// <param name="prefix">Only keys that begin with it; empty for all.</param>
    /// <param name="visitor">Sees key and value, valid during the call only.</param>
    /// <exception cref="TableException">The disk failed, or what is on it has changed.</exception>
    void Visit(ReadOnlySpan<byte> prefix, TableVisitor visitor);

    /// <summary>
    /// Makes all that was written before the call durable, with a mark; after a crash the table is as of a checkpoint or
    /// newer. Gives disk back that what was overwritten and removed took.
    /// </summary>
    /// <param name="mark">What the next start finds as <see cref="Mark"/>; at most <see cref="Proto.Bounds.TableMarkSizeMax"/> bytes.</param>
    /// <param name="cancellation">Ends the waiting; what was begun goes on.</param>
    /// <exception cref="TableException">The disk failed; the checkpoint before this one still stands.</exception>
    ValueTask CheckpointAsync(ReadOnlyMemory<byte> mark, CancellationToken cancellation = default);
}

/// <summary>Sees one key with its value; false ends the visit.</summary>
public delegate bool TableVisitor(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value);

/// <summary>Why the table did not do what was asked.</summary>
public enum TableError
{
    /// <summary>The disk is full; reads go on, and so do writes as soon as there is room.</summary>
    Full,
    /// <summary>The disk failed, or the table is closed.</summary>
    Failed,
    /// <summary>What is on disk is not what was written.</summary>
    Damaged,
    /// <summary>A key, value or mark is larger than it may be.</summary>
    TooLarge,
}

/// <summary>The table did not do what was asked.</summary>
/// <param name="error">Why.</param>
/// <param name="detail">What, where, what to do; for a person.</param>
/// <param name="cause">The system's error, where there is one.</param>
public sealed class TableException(TableError error, string detail, Exception? cause = null) : IOException(detail, cause)
{
    /// <summary>Why.</summary>
    public TableError Error { get; } = error;
}
