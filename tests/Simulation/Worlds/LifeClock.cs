namespace Cheops.Tests.Simulation.Worlds;

/// <summary>A party's clock: it drifts, its time of day jumps, and its timers are the party's.</summary>
/// <param name="scheduler">Where time is.</param>
/// <param name="life">Whose it is.</param>
/// <param name="rate">How fast it runs; 1 for as fast as the world's.</param>
internal sealed class LifeClock(Scheduler scheduler, Life life, double rate = 1) : TimeProvider
{
    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>How far its time of day is off.</summary>
    public TimeSpan Off { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long GetTimestamp() => (long)(scheduler.Now * rate);

    public override DateTimeOffset GetUtcNow() => Epoch + TimeSpan.FromTicks(GetTimestamp()) + Off;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(LifeClock clock, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;
        private Scheduler.Happening? _next;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _period = period;
            Arm(dueTime);
            return true;
        }

        private void Arm(TimeSpan due)
        {
            if (_next is { } before) before.IsCancelled = true;
            _next = due < TimeSpan.Zero ? null : clock.At(due, _ => Fire());
        }

        private void Fire()
        {
            _next = null;
            if (_period > TimeSpan.Zero) Arm(_period);
            callback(state);
        }

        public void Dispose() => Arm(Timeout.InfiniteTimeSpan);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }

    // A little more than asked for: no timer is early by its own clock.
    private Scheduler.Happening At(TimeSpan due, SendOrPostCallback happen) =>
        scheduler.At(scheduler.Now + 1 + (long)Math.Ceiling(due.Ticks / rate), life, happen, null);
}
