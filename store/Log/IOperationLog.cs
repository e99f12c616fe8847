using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Store.Log;

/// <summary>
/// The one log of a site, for the records of all its groups: every append that waits at a moment is made durable by the
/// same sync.
/// </summary>
/// <remarks>
/// A position is the place of a record; positions grow, and stay what they are for as long as the record is kept. Safe for
/// use by many at once; nothing blocks the calling thread.
/// </remarks>
public interface IOperationLog : IAsyncDisposable
{
    /// <summary>What was found when the log was opened.</summary>
    LogRecovery Recovery { get; }

    /// <summary>Position of the oldest record kept, or <see cref="DurableUntil"/> when there is none.</summary>
    long Begin { get; }

    /// <summary>Everything before this position is on stable storage.</summary>
    long DurableUntil { get; }

    /// <summary>Where the next record will be.</summary>
    long Tail { get; }

    /// <summary>Bytes that the log takes on disk.</summary>
    long DiskBytes { get; }

    /// <summary>Bytes by which the log can grow, as far as the disk tells at this moment; others may take them first.</summary>
    long Room { get; }

    /// <summary>
    /// Appends a record; the order of appends is the order of the log. Completes, in the usual case at once, when the
    /// record has its place; it is not durable before <see cref="WaitDurableAsync"/> says so. Waits while too much is in
    /// flight.
    /// </summary>
    /// <param name="record">The record; its payload must not change until the append completes.</param>
    /// <param name="cancellation">Cancels the waiting; then nothing was appended.</param>
    /// <returns>The record's position.</returns>
    /// <exception cref="OperationLogException">The record was not appended, for the reason given.</exception>
    ValueTask<long> AppendAsync(LogRecord record, CancellationToken cancellation = default);

    /// <summary>Appends a record as the other method does.</summary>
    /// <param name="record">The record; its payload must not change until the append completes.</param>
    /// <param name="room">What of the room it may take; with less it is refused as on a full disk.</param>
    /// <param name="cancellation">Cancels the waiting; then nothing was appended.</param>
    /// <returns>The record's position.</returns>
    /// <exception cref="OperationLogException">The record was not appended, for the reason given.</exception>
    ValueTask<long> AppendAsync(LogRecord record, RoomFor room, CancellationToken cancellation = default);

    /// <summary>Completes when the record at <paramref name="position"/>, and so everything before it, is on stable storage.</summary>
    /// <exception cref="OperationLogException">The log failed: whether the record will be found again is not known.</exception>
    ValueTask WaitDurableAsync(long position, CancellationToken cancellation = default);

    /// <summary>Reads a record, waiting until it is durable.</summary>
    /// <exception cref="OperationLogException">There is no record at this position, or it is damaged.</exception>
    ValueTask<LogRecord> ReadAsync(long position, CancellationToken cancellation = default);

    /// <summary>
    /// Lets go of all records before <paramref name="position"/>; completes when that is durable. Disk is given back in
    /// whole segments. A position at or before <see cref="Begin"/> changes nothing.
    /// </summary>
    /// <param name="position">Position of a durable record, or <see cref="DurableUntil"/> to let go of all.</param>
    /// <param name="cancellation">Cancels the waiting.</param>
    /// <exception cref="OperationLogException">No record begins at this position, or the log failed.</exception>
    ValueTask TruncateAsync(long position, CancellationToken cancellation = default);
}

/// <summary>What a record is for, and so what of the last room on a disk it may take.</summary>
public enum RoomFor
{
    /// <summary>It records what goes on: room for two pages (<see cref="Bounds.LogPageSizeBits"/>) is left for what gives disk back.</summary>
    Record,
    /// <summary>It begins something of which more is to be recorded: <see cref="Bounds.LogReserveSize"/> more are left for that.</summary>
    Beginning,
    /// <summary>When it is there, disk can be given back: it may take all the room.</summary>
    Reclaiming,
}

/// <summary>Sees each record once while a log is opened, oldest first.</summary>
/// <param name="position">The record's position.</param>
/// <param name="record">The record without its payload.</param>
/// <param name="payload">Its payload, valid during the call only.</param>
public delegate void LogRecordVisitor(long position, in LogRecord record, ReadOnlySpan<byte> payload);

/// <summary>What was found when a log was opened.</summary>
/// <param name="Records">Intact records.</param>
/// <param name="Begin">Position of the first of them.</param>
/// <param name="Until">Position after the last of them, where the log goes on.</param>
/// <param name="Damage">What of the acknowledged records is lost; null when nothing is.</param>
public sealed record LogRecovery(long Records, long Begin, long Until, LogDamage? Damage);

/// <summary>
/// Acknowledged records that are lost, of those that a slot tells of: all but the last <see cref="Bounds.LogSlotDelayMs"/> before a crash, which may
/// be longer on a disk that is slow. The groups must get them from their other members before this site votes or
/// acknowledges again.
/// </summary>
/// <param name="Reason">What was found.</param>
/// <param name="Position">Position of the first record lost.</param>
/// <param name="RecordsLost">
/// How many records were acknowledged from there on; 0 when it is not known whether any was (a damaged commit slot).
/// </param>
public sealed record LogDamage(LogDamageReason Reason, long Position, long RecordsLost)
{
    /// <summary>For a person.</summary>
    public override string ToString() => Reason == LogDamageReason.CommitSlot
        ? $"a commit slot of the operation log is damaged: records from position {Position} on may be lost"
        : $"the operation log is damaged at position {Position} ({Reason}): {RecordsLost} acknowledged records are lost here";
}

/// <summary>Why a record is lost.</summary>
public enum LogDamageReason
{
    /// <summary>Its bytes have changed, or are only partly there.</summary>
    Checksum,
    /// <summary>It is not where it must be: its length has changed, or its segment is missing.</summary>
    Missing,
    /// <summary>The newer of the two places that tell how far the log goes has changed.</summary>
    CommitSlot,
}

/// <summary>Why the log did not do what was asked.</summary>
public enum OperationLogError
{
    /// <summary>The disk is full. Nothing was appended; reads go on, and so do appends as soon as there is room.</summary>
    Full,
    /// <summary>Too many appends wait already. Nothing was appended.</summary>
    Busy,
    /// <summary>The payload is larger than a record may carry. Nothing was appended.</summary>
    TooLarge,
    /// <summary>The disk failed, or the log is closed. Reads of what is durable go on; appending needs a new start.</summary>
    Failed,
    /// <summary>What is on disk is not what was written, or was written by a newer version.</summary>
    Damaged,
    /// <summary>No record begins at that position, or it was let go of.</summary>
    NoRecord,
    /// <summary>Another process has the log open.</summary>
    InUse,
}

/// <summary>The log did not do what was asked.</summary>
/// <param name="error">Why.</param>
/// <param name="detail">What, where, what to do; for a person.</param>
/// <param name="cause">The system's error, where there is one.</param>
public sealed class OperationLogException(OperationLogError error, string detail, Exception? cause = null) : IOException(detail, cause)
{
    /// <summary>Why.</summary>
    public OperationLogError Error { get; } = error;
}
