namespace Cheops.Agent.Hosting;

/// <summary>Tells the service manager at half its interval that the agent is alive, as long as it really is.</summary>
public static class Watchdog
{
    /// <summary>Runs until cancelled.</summary>
    /// <param name="manager">The manager; without an interval of its own, nothing is done.</param>
    /// <param name="isAlive">Tries what the agent is for; false or an exception means that it does not work. Bounded by half the interval.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task RunAsync(
        ServiceManager manager, Func<CancellationToken, Task<bool>> isAlive, TimeProvider time, CancellationToken cancellation)
    {
        if (manager.WatchdogInterval is not { } interval) return;
        using var timer = new PeriodicTimer(interval / 2, time);
        try
        {
            do
            {
                if (await TryAsync(isAlive, interval / 2, time, cancellation)) manager.Alive();
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The end that was asked for.
        }
    }

    private static async Task<bool> TryAsync(
        Func<CancellationToken, Task<bool>> isAlive, TimeSpan limit, TimeProvider time, CancellationToken cancellation)
    {
        using var bound = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellation);
        try
        {
            return await isAlive(either.Token).WaitAsync(either.Token);
        }
        catch (Exception) when (!cancellation.IsCancellationRequested)
        {
            // Whatever it is, silence is what tells the manager.
            return false;
        }
    }
}
