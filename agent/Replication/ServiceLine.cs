using Cheops.Proto;

namespace Cheops.Agent.Replication;

/// <summary>A turn to send to a service, which lasts until it is disposed of.</summary>
/// <param name="end">Ends it.</param>
internal sealed class Turn(Action end) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => end();
}

/// <summary>
/// Where the operations of one service at this site wait for their turn to send, in two lanes: what a client waits for does not
/// stand behind what follows. Each lane gives <see cref="Bounds.OperationsUnderWayMax"/> turns at one time, in the order in which
/// they were asked for. While the service is not reached what follows waits, except for one operation at a time, which tries
/// the service after growing pauses; what a client waits for is always sent, and tells as well whether the service is there.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="closing">Ends what waits for time.</param>
internal sealed class ServiceLine(TimeProvider time, CancellationToken closing)
{
    private readonly Lock _gate = new();
    private readonly Lane _deciding = new();
    private readonly Lane _following = new();
    private string? _whyNotReached;
    private int _pauseMs;
    private int _pauses;
    private bool _isPausing;
    private long _nextRetryMs;

    private sealed class Lane
    {
        public LinkedList<TaskCompletionSource<Turn>> Waiting { get; } = [];

        public int UnderWay { get; set; }

        public bool MayGo => Waiting.Count > 0 && UnderWay < Bounds.OperationsUnderWayMax;
    }

    /// <summary>Why the service was not reached at the last try, for a person; null when it was.</summary>
    public string? WhyNotReached
    {
        get
        {
            lock (_gate) return _whyNotReached;
        }
    }

    /// <summary>Waits for a turn of an operation that a client waits for.</summary>
    /// <returns>Null when there was none within <see cref="Bounds.OperationTurnMaxMs"/>.</returns>
    public async Task<Turn?> DecideAsync()
    {
        var waiting = Join(_deciding);
        try
        {
            if (!waiting.IsCompleted) await waiting.OrCancelled(TimeSpan.FromMilliseconds(Bounds.OperationTurnMaxMs), time, closing);
        }
        catch (TimeoutException)
        {
            if (TryLeave(_deciding, waiting)) return null;
        }

        return await waiting;
    }

    /// <summary>Waits for a turn of an operation that follows.</summary>
    public Task<Turn> FollowAsync() => Join(_following);

    private Task<Turn> Join(Lane lane)
    {
        var waiting = new TaskCompletionSource<Turn>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            lane.Waiting.AddLast(waiting);
            GoOn();
        }

        return waiting.Task;
    }

    private bool TryLeave(Lane lane, Task<Turn> waiting)
    {
        lock (_gate) return lane.Waiting.FirstOrDefault(one => one.Task == waiting) is { } still && lane.Waiting.Remove(still);
    }

    private void GoOn()
    {
        while (_deciding.MayGo) Give(_deciding);
        while (_following.MayGo && !_isPausing)
        {
            Give(_following);
            if (_whyNotReached is not null) Pause(2 * _pauseMs);
        }
    }

    private void Give(Lane lane)
    {
        var first = lane.Waiting.First!.Value;
        lane.Waiting.RemoveFirst();
        lane.UnderWay++;
        first.SetResult(new Turn(() => End(lane)));
    }

    private void End(Lane lane)
    {
        lock (_gate)
        {
            lane.UnderWay--;
            GoOn();
        }
    }

    /// <summary>Tells how a request to the service ended.</summary>
    public void Tell(ServiceReply reply)
    {
        lock (_gate)
        {
            var wasReached = _whyNotReached is null;
            _whyNotReached = reply.Kind == ReplyKind.NotReached ? reply.Detail : null;
            if (wasReached == (_whyNotReached is null)) return;
            if (wasReached)
            {
                Pause(Bounds.FollowPauseMinMs);
                return;
            }

            (_isPausing, _pauses) = (false, _pauses + 1);
            GoOn();
        }
    }

    // From the beginning of a try: one that takes its time does not hold up the others for all of it.
    private void Pause(int ms)
    {
        _pauseMs = Math.Min(ms, Bounds.FollowPauseMaxMs);
        _isPausing = true;
        _ = EndPauseAsync(++_pauses);
    }

    private async Task EndPauseAsync(int pause)
    {
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_pauseMs), time, closing);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        lock (_gate)
        {
            if (pause != _pauses) return;
            _isPausing = false;
            GoOn();
        }
    }

    /// <summary>
    /// Waits before an operation is tried again: a growing time of its own, and until it is its turn among all that are tried
    /// again, so that very many of them are not more than the service can bear.
    /// </summary>
    public async Task PauseAsync(int ownMs)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(ownMs), time, closing);
        long left;
        lock (_gate)
        {
            var now = (long)time.GetElapsedTime(0, time.GetTimestamp()).TotalMilliseconds;
            left = Math.Max(_nextRetryMs, now) - now;
            _nextRetryMs = now + left + Bounds.RetrySpacingMs;
        }

        if (left > 0) await Task.Delay(TimeSpan.FromMilliseconds(left), time, closing);
    }
}

/// <summary>The lines of all services of this site.</summary>
/// <param name="time">The clock.</param>
/// <param name="closing">Ends what waits for time.</param>
internal sealed class ServiceLines(TimeProvider time, CancellationToken closing)
{
    private readonly System.Collections.Concurrent.ConcurrentDictionary<string, ServiceLine> _lines = new(StringComparer.Ordinal);

    /// <summary>The line of a service.</summary>
    public ServiceLine Of(string service) => _lines.GetOrAdd(service, static (_, with) => new ServiceLine(with.time, with.closing), (time, closing));
}
