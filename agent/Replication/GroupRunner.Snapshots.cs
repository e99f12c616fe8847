using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- checkpoints and snapshots -----------------------------------------------------------------------------------------

    /// <summary>The index from which entries must be applied again to a table as it is now.</summary>
    public long ReplayFromNow()
    {
        lock (_gate) return _state.OldestNeeded ?? Math.Max(AppliedIndex + 1, _replayFrom);
    }

    /// <summary>A checkpoint is durable: what lies before <paramref name="index"/> is not needed again.</summary>
    public void Checkpointed(long index)
    {
        Interlocked.Exchange(ref _replayFrom, index);
        _parts.Journal.ForgetBefore(Founding.Id, index);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> CaptureAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        // All at one moment: what is applied while the pieces travel is in the entries that follow.
        ImmutableArray<OperationState> open;
        var records = new List<ReadOnlyMemory<byte>>();
        lock (_gate)
        {
            open = [.. _state.Open];
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id) records.Add(record.Encode());
                return true;
            });
        }

        foreach (var record in records) yield return new EntryWriter().Byte((byte)'R').Bytes(record.Span).Written;
        foreach (var state in open)
        {
            cancellation.ThrowIfCancellationRequested();
            var entry = new ProposedEntry(await ReadAsync(state)).Encode();
            var writer = new EntryWriter().Byte((byte)'O').Bytes(entry.Span);
            lock (_gate) state.Export(writer);
            yield return writer.Written;
        }
    }

    /// <inheritdoc/>
    public async ValueTask RestoreAsync(long index, IAsyncEnumerable<ReadOnlyMemory<byte>> pieces, CancellationToken cancellation = default)
    {
        var records = new List<ReplicantRecord>();
        var state = new GroupState(_parts.Site, Founding.Sites);
        await foreach (var piece in pieces.WithCancellation(cancellation)) Import(piece.ToArray(), state, records);
        lock (_gate)
        {
            AppliedIndex = index;
            _state = state;
            var names = records.Select(record => record.Key).ToHashSet();
            var gone = new List<ReplicantKey>();
            _parts.Replicants.Visit(record =>
            {
                if (record.Group == Founding.Id && !names.Contains(record.Key)) gone.Add(record.Key);
                return true;
            });
            foreach (var key in gone) _parts.Replicants.Gone(Founding.Id, key);
            foreach (var record in records) _parts.Replicants.Import(record);
            _waiters.AllChanged();
            PulseAny();
            _seenUntil = Math.Max(_seenUntil, index);
            if (!_replayed) return;
            foreach (var next in _state.AllHere().ToArray()) Start(next);
        }
    }

    private void Import(byte[] piece, GroupState into, List<ReplicantRecord> records)
    {
        var reader = new EntryReader(piece);
        var tag = reader.Byte();
        var bytes = reader.Bytes(Bounds.GroupEntrySizeMax);
        if (tag == (byte)'R' && ReplicantRecord.Decode(bytes) is { } record)
        {
            records.Add(record);
            return;
        }

        if (tag != (byte)'O' || GroupEntry.Decode(bytes) is not ProposedEntry proposed) throw new IOException("a piece of a snapshot is not understood");
        lock (_gate)
        {
            var state = OperationState.Import(ref reader, proposed.Operation, Founding.Sites) ?? throw new IOException("a piece of a snapshot is not understood");
            Keep(proposed.Operation);
            _parts.Contents.Need(proposed.Operation.BodyHash);
            into.Import(state);
        }
    }
}
