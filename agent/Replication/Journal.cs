using System.Collections.Concurrent;
using Cheops.Proto.Operations;
using Cheops.Store.Log;

namespace Cheops.Agent.Replication;

/// <summary>
/// This site's own notes in its operation log: that an operation which cannot be told by looking is about to be sent, and
/// what its service answered. After a crash, what was noted as sent and not as answered is in doubt.
/// </summary>
internal sealed class Journal
{
    /// <summary>The kind of a record that notes a sending.</summary>
    public const byte SendingKind = 128;

    /// <summary>The kind of a record that notes an answer.</summary>
    public const byte AnsweredKind = 129;

    // The journal holds its records in the log like a group; no set of sites has this id.
    private static readonly GroupId Owner = new(1);

    private readonly ConcurrentDictionary<OperationId, Note> _notes;
    private readonly IOperationLog _log;
    private readonly LogRetention _retention;
    private readonly Lock _gate = new();
    private long _heldFrom = long.MaxValue;

    /// <summary>What is noted of an operation.</summary>
    /// <param name="Group">The operation's group.</param>
    /// <param name="Index">Where it stands in the group's log.</param>
    /// <param name="Position">Position of the oldest record of it.</param>
    /// <param name="Status">The status that was answered; 0 when only the sending is noted.</param>
    /// <param name="LocalId">The id that the answer told; empty for none.</param>
    internal sealed record Note(GroupId Group, long Index, long Position, int Status, string LocalId);

    /// <summary>The payload of a record: the group, the entry's index, the operation, the status, the id.</summary>
    internal static ReadOnlyMemory<byte> Encode(OperationId id, Note note) =>
        new EntryWriter().Id(new OperationId(note.Group.Value)).Number(note.Index).Id(id).Small(note.Status).Text(note.LocalId).Written;

    /// <summary>Reads what <see cref="Encode"/> wrote; null when it is something else.</summary>
    internal static (OperationId Id, Note Note)? Decode(long position, ReadOnlyMemory<byte> payload)
    {
        var reader = new EntryReader(payload);
        var (group, index, id) = (new GroupId(reader.Id().Value), reader.Number(), reader.Id());
        var note = new Note(group, index, position, reader.Small(), reader.Text(Proto.Bounds.LocalIdSizeMax));
        return reader.IsWhole ? (id, note) : null;
    }

    private Journal(IOperationLog log, LogRetention retention, ConcurrentDictionary<OperationId, Note> notes) =>
        (_log, _retention, _notes) = (log, retention, notes);

    /// <summary>Takes in the records of the journal while the log is opened.</summary>
    internal sealed class Recovery
    {
        private readonly ConcurrentDictionary<OperationId, Note> _notes = new();

        /// <summary>Sees a record; those of others are passed over.</summary>
        public void Visit(long position, in LogRecord record, ReadOnlySpan<byte> payload)
        {
            if (record.Kind is not (SendingKind or AnsweredKind)) return;
            if (Decode(position, payload.ToArray()) is not (var id, var note)) return;
            _notes.AddOrUpdate(id, note, (_, before) => before with { Status = note.Status, LocalId = note.LocalId });
        }

        /// <summary>The journal of the log that was opened.</summary>
        public Journal Open(IOperationLog log, LogRetention retention)
        {
            var journal = new Journal(log, retention, _notes);
            journal.Retain();
            retention.ForwardBy(Owner, journal.ForwardAsync);
            return journal;
        }
    }

    /// <summary>What is noted of an operation; null for nothing.</summary>
    public Note? Find(OperationId id) => _notes.GetValueOrDefault(id);

    /// <summary>Notes, durably, that an operation is about to be sent.</summary>
    /// <param name="group">Its group.</param>
    /// <param name="index">Where it stands in the group's log.</param>
    /// <param name="id">The operation.</param>
    /// <exception cref="OperationLogException">It is not noted: the operation must not be sent.</exception>
    public async ValueTask SendingAsync(GroupId group, long index, OperationId id)
    {
        // What was answered too early, and is sent again, is under way again.
        if (_notes.GetValueOrDefault(id) is { Status: 0 }) return;
        var position = await AppendAsync(SendingKind, id, new Note(group, index, 0, 0, ""));
        await _log.WaitDurableAsync(position);
    }

    /// <summary>Notes what was answered; durable with whatever is next made durable.</summary>
    public async ValueTask AnsweredAsync(OperationId id, int status, string localId)
    {
        if (!_notes.TryGetValue(id, out var note)) return;
        try
        {
            await AppendAsync(AnsweredKind, id, note with { Status = status, LocalId = localId });
        }
        catch (OperationLogException)
        {
            // Without this note a crash leaves the operation in doubt, which is safe.
        }
    }

    private async ValueTask<long> AppendAsync(byte kind, OperationId id, Note note)
    {
        var position = await _log.AppendAsync(new LogRecord { Group = Owner, Kind = kind, Payload = Encode(id, note) });
        _notes.AddOrUpdate(id, note with { Position = position }, (_, before) => note with { Position = before.Position });

        // Until here the group's own need of the operation's entry, which lies before, held the log.
        lock (_gate)
        {
            if (position < _heldFrom) _retention.Keep(Owner, _heldFrom = position);
        }

        return position;
    }

    /// <summary>Forgets an operation that was surely not executed, or that a person wants to have tried again.</summary>
    public void Forget(OperationId id)
    {
        if (_notes.TryRemove(id, out _)) Retain();
    }

    /// <summary>
    /// Forgets what stands before an index of a group's log, from which on the group's entries are applied again after a
    /// crash: until then what became of an operation may be in entries of which the next start does not know yet whether
    /// they are committed.
    /// </summary>
    public void ForgetBefore(GroupId group, long index)
    {
        foreach (var (id, note) in _notes)
        {
            if (note.Group == group && note.Index < index) _notes.TryRemove(id, out _);
        }

        Retain();
    }

    // Where an answer is noted meanwhile, the operation is in doubt after a crash: that is safe.
    private async ValueTask ForwardAsync(long before)
    {
        var last = -1L;
        foreach (var (id, note) in _notes.Where(one => one.Value.Position < before))
        {
            var record = new LogRecord { Group = Owner, Kind = note.Status == 0 ? SendingKind : AnsweredKind, Payload = Encode(id, note) };
            last = await _log.AppendAsync(record, RoomFor.Reclaiming);
            _notes.TryUpdate(id, note with { Position = last }, note);
        }

        if (last >= 0) await _log.WaitDurableAsync(last);
        Retain();
    }

    private void Retain()
    {
        lock (_gate)
        {
            _heldFrom = _notes.IsEmpty ? long.MaxValue : _notes.Values.Min(note => note.Position);
            if (_heldFrom == long.MaxValue) _retention.Forget(Owner);
            else _retention.Keep(Owner, _heldFrom);
        }
    }
}
