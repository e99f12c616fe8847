using Cheops.Proto;

namespace Cheops.Agent.Transport;

/// <summary>
/// Time-outs for thousands of connections by one timer: each owner moves its own <see cref="Deadline"/>, and a sweep
/// every <see cref="Bounds.DeadlineSweepMs"/> finds those that have passed.
/// </summary>
public sealed class Deadlines : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<Deadline> _all = [];
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly ITimer _timer;
    private long _nowMs;

    /// <summary>Starts sweeping.</summary>
    /// <param name="time">The clock.</param>
    public Deadlines(TimeProvider time)
    {
        _time = time;
        LastSweepTimestamp = _started = time.GetTimestamp();
        var period = TimeSpan.FromMilliseconds(Bounds.DeadlineSweepMs);
        _timer = time.CreateTimer(static state => ((Deadlines)state!).Sweep(), this, period, period);
    }

    /// <summary>Milliseconds since the start, as of the last sweep: cheap, and never more than one sweep old.</summary>
    public long NowMs => Volatile.Read(ref _nowMs);

    /// <summary>When the last sweep ran, at first when sweeping began; a watchdog sees from it that time-outs are kept.</summary>
    public long LastSweepTimestamp { get; private set; }

    /// <summary>Makes a deadline, not armed, whose passing calls <paramref name="passed"/> once for each arming.</summary>
    public Deadline Register(Action passed)
    {
        var deadline = new Deadline(this, passed);
        lock (_gate)
        {
            deadline.Index = _all.Count;
            _all.Add(deadline);
        }

        return deadline;
    }

    internal void Remove(Deadline deadline)
    {
        lock (_gate)
        {
            if (deadline.Index < 0) return;
            var last = _all[^1];
            _all[deadline.Index] = last;
            last.Index = deadline.Index;
            _all.RemoveAt(_all.Count - 1);
            deadline.Index = -1;
        }
    }

    private void Sweep()
    {
        LastSweepTimestamp = _time.GetTimestamp();
        var now = (long)_time.GetElapsedTime(_started, LastSweepTimestamp).TotalMilliseconds;
        Volatile.Write(ref _nowMs, now);
        List<Deadline>? passed = null;
        lock (_gate)
        {
            foreach (var deadline in _all)
            {
                if (deadline.TakeIfPassed(now)) (passed ??= []).Add(deadline);
            }
        }

        if (passed is null) return;
        foreach (var deadline in passed) deadline.Passed();
    }

    /// <summary>Stops sweeping.</summary>
    public void Dispose() => _timer.Dispose();
}

/// <summary>One owner's time-out. Moving it is one write.</summary>
public sealed class Deadline : IDisposable
{
    private readonly Deadlines _deadlines;
    private long _dueMs = long.MaxValue;

    internal Deadline(Deadlines deadlines, Action passed)
    {
        _deadlines = deadlines;
        Passed = passed;
    }

    internal int Index { get; set; }

    internal Action Passed { get; }

    /// <summary>
    /// Sets the deadline to <paramref name="ms"/> from now, instead of what it was. It passes not before, and at most
    /// two sweeps after.
    /// </summary>
    public void Arm(int ms) => Volatile.Write(ref _dueMs, _deadlines.NowMs + Bounds.DeadlineSweepMs + ms);

    /// <summary>Takes the deadline away.</summary>
    public void Disarm() => Volatile.Write(ref _dueMs, long.MaxValue);

    internal bool TakeIfPassed(long nowMs)
    {
        var due = Volatile.Read(ref _dueMs);

        // Only the deadline that was seen is taken: the owner may have moved it meanwhile.
        return due <= nowMs && Interlocked.CompareExchange(ref _dueMs, long.MaxValue, due) == due;
    }

    /// <summary>Ends it.</summary>
    public void Dispose() => _deadlines.Remove(this);
}
