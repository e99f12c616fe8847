using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

internal sealed partial class GroupRunner
{
    // ---- what operations carry: kept in memory within a budget, else read again ----------------------------------------

    private void Keep(Operation operation)
    {
        _parts.Contents.Need(operation.BodyHash);
        var size = operation.Body.Length + operation.Fields.Length + 256;
        if (_keptSize + size > Bounds.OperationsKeptSizeMax || !_kept.TryAdd(operation.Id, operation)) return;
        _keptSize += size;
    }

    private void KeepCopies(OpeningEntry opening, long index)
    {
        foreach (var copy in opening.Copies)
        {
            if (_state.TryFind(copy.Id, out var state) && state.Index == index) Keep(copy);
        }
    }

    private void Forget(OperationState state)
    {
        // What is another group's by now still needs its body, where somebody waits to pass it on.
        if (!state.IsDiverged) _parts.Contents.Release(state.BodyHash, isKept: state.Decision == Decision.Moved && _awaited.ContainsKey(state.Id));
        _problems.TryRemove(state.Id, out _);
        _verdicts.TryRemove(state.Id, out _);
        _begun.Remove(state.Id);
        _retried.Remove(state.Id);
        if (_kept.Remove(state.Id, out var operation)) _keptSize -= operation.Body.Length + operation.Fields.Length + 256;
    }

    /// <summary>What an operation carries.</summary>
    /// <exception cref="IOException">The group's log does not hold it any more, or cannot be read.</exception>
    public async ValueTask<Operation> ReadAsync(OperationState state)
    {
        lock (_gate)
        {
            if (_kept.TryGetValue(state.Id, out var kept)) return kept;
            if (_restored.TryGetValue(state.Id, out var number)) return RestoredOperation(_parts.Replicants.RestoredPiece(Founding.Id, _restoredAt, number));
        }

        var entry = await (await GroupAsync()).ReadAsync(state.Index, _parts.Closing);
        var found = GroupEntry.Decode(entry) switch
        {
            ProposedEntry proposed => proposed.Operation,
            ClosingEntry closing => closing.Deletion,
            OpeningEntry opening => opening.Copies.FirstOrDefault(copy => copy.Id == state.Id),
            _ => null,
        };
        return found?.Id == state.Id
            ? found
            : throw new IOException($"entry {state.Index} of the group's log is not the operation {state.Id}");
    }

    private Operation RestoredOperation(byte[] piece) => SnapshotPiece.Decode(piece, Founding.Sites) switch
    {
        SnapshotPiece.Open open => open.Operation,
        SnapshotPiece.Leaving leaving => leaving.Closing.Deletion,
        _ => throw new IOException("a piece of a snapshot is not understood"),
    };
}
