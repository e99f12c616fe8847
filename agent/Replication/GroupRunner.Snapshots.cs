using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Cheops.Agent.Replication.State;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- checkpoints and snapshots -----------------------------------------------------------------------------------------

    // What a snapshot brought, and which of its pieces an operation is; entries up to its index are not in the log here.
    private readonly Dictionary<OperationId, int> _restored = [];
    private long _restoredAt;

    /// <summary>The index from which entries must be applied again to a table as it is now.</summary>
    /// <exception cref="IOException">The table cannot be written.</exception>
    public long ReplayFromNow()
    {
        lock (_gate)
        {
            // What an entry made, and the table has not taken in, is made again from all that the log holds now.
            if (_carried < _effects.Count) return _replayFrom;
            var oldest = _state.OldestNeeded;
            if (_restoredAt > 0 && !(oldest <= _restoredAt)) ForgetRestored();
            return Math.Max(oldest ?? Math.Max(AppliedIndex + 1, _replayFrom), _restoredAt + 1);
        }
    }

    private void ForgetRestored()
    {
        _parts.Replicants.ForgetRestored(Founding.Id);
        _restored.Clear();
        _restoredAt = 0;
    }

    /// <summary>A checkpoint is durable: what lies before <paramref name="index"/> is not needed again.</summary>
    public void Checkpointed(long index)
    {
        Interlocked.Exchange(ref _replayFrom, index);
        _parts.Journal.ForgetBefore(Founding.Id, Math.Min(index, Look(state => state.OldestNeeded) ?? index));
    }

    // After a start: what an earlier snapshot brought, unless it was not durable in time, or is over.
    private void TakeRestored()
    {
        if (_parts.Replicants.RestoredOf(Founding.Id) is not { } kept || kept.Index + 1 != _replayFrom) return;
        _restoredAt = kept.Index;
        for (var number = 0; number < kept.Count; number++)
        {
            if (Import(_parts.Replicants.RestoredPiece(Founding.Id, kept.Index, number), _state, []) is { } id) _restored[id] = number;
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        // All at one moment: what is applied while the pieces travel is in the entries that follow, which do nothing to what has it already.
        ImmutableArray<(OperationState State, ReadOnlyMemory<byte> Written)> open;
        ImmutableArray<MoveState> moves;
        var records = new List<ReadOnlyMemory<byte>>();
        lock (_gate)
        {
            (open, moves) = ([.. _state.Open.Select(state => (state, state.Export()))], [.. _state.Moving]);
            foreach (var (gone, index) in _state.Removed) records.Add(SnapshotPiece.Of(gone, index));
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id) records.Add(SnapshotPiece.Of(record));
                return true;
            });
            _parts.Replicants.VisitMoves(Founding.Id, marks => records.Add(SnapshotPiece.Of(marks)));
        }

        foreach (var move in moves) records.Add(SnapshotPiece.Of(move.Closing, move.Index));
        foreach (var record in records) yield return record;
        foreach (var (state, written) in open)
        {
            cancellation.ThrowIfCancellationRequested();
            yield return SnapshotPiece.Of(await ReadAsync(state), written);
        }
    }

    /// <inheritdoc/>
    public async ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default)
    {
        var records = new List<ReplicantRecord>();
        var state = new GroupState(_parts.Site, Founding.Sites, key => _parts.Replicants.MovesOf(Founding.Id, key), _parts.Replicants.RemovedFrom(Founding.Id));
        var restored = new Dictionary<OperationId, int>();
        var kept = 0;
        await foreach (var piece in pieces.WithCancellation(cancellation))
        {
            var id = Import(piece.ToArray(), state, records);
            if (piece.Span[0] is not ((byte)'O' or (byte)'C')) continue;
            if (id is { } operation) restored[operation] = kept;
            _parts.Replicants.KeepRestoredPiece(Founding.Id, index, kept++, piece.Span);
        }

        lock (_gate)
        {
            // The table first, which may be full: the state is replaced when all of it is there.
            var names = records.Select(record => record.Key).ToHashSet();
            var gone = new List<ReplicantKey>();
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id && !names.Contains(record.Key)) gone.Add(record.Key);
                return true;
            });
            foreach (var key in gone) _parts.Replicants.Gone(Founding.Id, key);
            foreach (var record in records) _parts.Replicants.Import(record);
            _parts.Replicants.KeepRestored(Founding.Id, index, kept);
            AppliedIndex = index;
            (_state, _restoredAt) = (state, index);
            _effects.Clear();
            _restored.Clear();
            foreach (var (id, number) in restored) _restored[id] = number;
            _waiters.AllChanged();
            PulseAny();
            _seenUntil = Math.Max(_seenUntil, index);
        }

        // From here on the log does not hold what came before.
        await _parts.Checkpoint();
        lock (_gate)
        {
            if (_replayed) StartAll();
        }
    }

    private OperationId? Import(byte[] piece, GroupState into, List<ReplicantRecord> records)
    {
        switch (SnapshotPiece.Decode(piece, Founding.Sites))
        {
            case SnapshotPiece.Made made:
                records.Add(made.Replicant);
                return null;
            case SnapshotPiece.Marked marked:
                _parts.Replicants.Keep(Founding.Id, marked.Moves);
                into.Import(marked.Moves);
                return null;
            case SnapshotPiece.Removed removed:
                _parts.Replicants.KeepRemoved(Founding.Id, removed.Site, removed.Index);
                into.ImportRemoved(removed.Site, removed.Index);
                return null;
            case SnapshotPiece.Leaving leaving:
                into.Import(leaving.Index, leaving.Closing);
                return leaving.Closing.Deletion.Id;
            case SnapshotPiece.Open open:
                lock (_gate)
                {
                    Keep(open.Operation);
                    into.Import(open.State);
                    return open.State.Id;
                }

            default:
                throw new IOException("a piece of a snapshot is not understood");
        }
    }
}
