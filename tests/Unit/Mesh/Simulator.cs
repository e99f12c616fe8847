using Microsoft.Extensions.Time.Testing;

namespace Cheops.Tests.Unit.Mesh;

/// <summary>
/// Runs asynchronous code on one thread in simulated time: whatever is ready runs in order, then the clock goes on by a
/// millisecond. The same seed gives the same run.
/// </summary>
internal sealed class Simulator : SynchronizationContext
{
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();

    public FakeTimeProvider Time { get; } = new();

    public DateTimeOffset Now => Time.GetUtcNow();

    public override void Post(SendOrPostCallback d, object? state)
    {
        lock (_ready) _ready.Enqueue((d, state));
    }

    public override void Send(SendOrPostCallback d, object? state) => d(state);

    /// <summary>Runs <paramref name="body"/> to its end, which it must reach within <paramref name="limit"/> of simulated time.</summary>
    public void Run(Func<Task> body, TimeSpan? limit = null)
    {
        var previous = Current;
        SetSynchronizationContext(this);
        try
        {
            var end = Now + (limit ?? TimeSpan.FromMinutes(10));
            var task = body();
            while (true)
            {
                Drain();
                if (task.IsCompleted) break;
                Assert.True(Now < end, "the simulation does not come to its end");
                Time.Advance(TimeSpan.FromMilliseconds(1));
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(previous);
        }
    }

    private void Drain()
    {
        while (true)
        {
            (SendOrPostCallback Callback, object? State) next;
            lock (_ready)
            {
                if (!_ready.TryDequeue(out next)) return;
            }

            next.Callback(next.State);
        }
    }

    public Task Wait(TimeSpan time) => Task.Delay(time, Time);

    public async Task Until(Func<bool> condition)
    {
        while (!condition()) await Wait(TimeSpan.FromMilliseconds(1));
    }
}
