using Cheops.Proto.Operations;

namespace Cheops.Store.Log;

/// <summary>An append that waits for room. All but <see cref="CompleteAsync"/> is called under the log's gate.</summary>
internal sealed class WaitingAppend(LogRecord record, RoomFor room)
{
    private readonly TaskCompletionSource<long> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public LogRecord Record { get; } = record;

    public RoomFor Room { get; } = room;

    /// <summary>Whether its caller no longer waits: then it must not be appended.</summary>
    public bool IsGivenUp => _done.Task.IsCompleted;

    public void Complete(long position) => _done.TrySetResult(position);

    // An exception of its own for each: one that many throw gathers the stacks of all.
    public void Refuse(OperationLogException reason) =>
        _done.TrySetException(new OperationLogException(reason.Error, reason.Message, reason.InnerException));

    public async Task<long> CompleteAsync(Lock gate, CancellationToken cancellation)
    {
        await using var registration = cancellation.UnsafeRegister(
            _ =>
            {
                // Under the gate: either it is appended, or it never will be.
                lock (gate) _done.TrySetCanceled(cancellation);
            },
            null);
        return await _done.Task;
    }
}
