using System.Diagnostics;

namespace Cheops.Tests.System.Harness;

/// <summary>Waits for conditions, never for time: every wait has a deadline and says what did not come about.</summary>
internal static class Wait
{
    /// <summary>How long a condition may take when nothing else is said; generous, since the machine may be busy.</summary>
    public static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Asks again and again until the condition holds.</summary>
    /// <exception cref="TimeoutException">It did not within <paramref name="most"/>; the message ends with the last failure.</exception>
    public static async Task UntilAsync(string what, Func<Task<bool>> holds, TimeSpan? most = null, Func<string>? more = null)
    {
        var started = Stopwatch.GetTimestamp();
        Exception? last = null;
        while (Stopwatch.GetElapsedTime(started) < (most ?? Long))
        {
            try
            {
                if (await holds()) return;
                last = null;
            }
            catch (Exception e) when (e is HttpRequestException or IOException or global::System.Net.Sockets.SocketException or TaskCanceledException)
            {
                last = e;
            }

            await Task.Delay(Pause);
        }

        throw new TimeoutException($"not within {(most ?? Long).TotalSeconds} s: {what}. {last?.Message}\n{more?.Invoke()}");
    }

    public static Task UntilAsync(string what, Func<bool> holds, TimeSpan? most = null, Func<string>? more = null) =>
        UntilAsync(what, () => Task.FromResult(holds()), most, more);

    /// <summary>Awaits a task for at most so long.</summary>
    public static async Task<T> ForAsync<T>(Task<T> task, string what, TimeSpan? most = null)
    {
        try
        {
            return await task.WaitAsync(most ?? Long);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"not within {(most ?? Long).TotalSeconds} s: {what}");
        }
    }
}
