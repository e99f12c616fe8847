namespace Cheops.Proto;

/// <summary>
/// Waiting that goes on where the waiter runs. The framework's own hops over its pool of threads, where a simulation on one
/// thread cannot follow.
/// </summary>
public static class Waiting
{
    /// <summary>Waits for a task, or for the cancellation.</summary>
    /// <exception cref="OperationCanceledException">The cancellation came first.</exception>
    public static Task OrCancelled(this Task task, CancellationToken cancellation) => Seen(task).WaitAsync(cancellation);

    /// <summary>Waits for a task, for the cancellation, or for a time to pass.</summary>
    /// <exception cref="OperationCanceledException">The cancellation came first.</exception>
    /// <exception cref="TimeoutException">The time passed first.</exception>
    public static Task OrCancelled(this Task task, TimeSpan time, TimeProvider clock, CancellationToken cancellation) =>
        Seen(task).WaitAsync(time, clock, cancellation);

    // Whoever completes an async method's task runs what waits for it.
    private static async Task Seen(Task task) => await task;
}
