namespace Cheops.Tests.Simulation.Worlds;

/// <summary>
/// The one thread of a world, its time and its order: all that is to happen stands in one queue, and the seed decides when
/// it does. Time is that of the queue; nothing waits.
/// </summary>
/// <param name="chance">Decides how long what is ready still waits.</param>
internal sealed class Scheduler(Random chance)
{
    private readonly PriorityQueue<Happening, (long Due, long Number)> _queue = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private long _number;

    /// <summary>Ticks of 100 ns since the world began.</summary>
    public long Now { get; private set; }

    /// <summary>How many things have happened.</summary>
    public long Steps { get; private set; }

    /// <summary>A number that stands for all that has happened, when, and in which order.</summary>
    public ulong Trace { get; private set; } = 14695981039346656037;

    /// <summary>What happened on another thread, and is therefore not of the seed; null while nothing has.</summary>
    public string? Escape { get; private set; }

    /// <summary>Something that is to happen.</summary>
    internal sealed class Happening(Life life, SendOrPostCallback callback, object? state)
    {
        public Life Life => life;

        public bool IsCancelled { get; set; }

        public void Happen() => life.Run(() => callback(state));
    }

    /// <summary>Lets a continuation run: mostly within microseconds, sometimes as late as on a busy machine.</summary>
    public void Soon(Life life, SendOrPostCallback callback, object? state)
    {
        // The runtime finalizes, on a thread of its own, timers of lives that are over.
        if (life.IsOver) return;
        if (Environment.CurrentManagedThreadId != _thread)
        {
            Escape ??= $"a continuation of {life.Name} came from another thread\n{Environment.StackTrace}";
            return;
        }

        var late = chance.Next(1000) switch { < 900 => 500, < 995 => 20_000, _ => 300_000 };
        At(Now + 1 + chance.Next(late), life, callback, state);
    }

    /// <summary>Lets something happen at a time.</summary>
    public Happening At(long due, Life life, SendOrPostCallback callback, object? state)
    {
        var happening = new Happening(life, callback, state);
        _queue.Enqueue(happening, (Math.Max(due, Now), ++_number));
        return happening;
    }

    /// <summary>Lets the next thing happen; false when nothing is to happen by <paramref name="until"/>, which it then is.</summary>
    public bool Next(long until)
    {
        while (_queue.TryPeek(out var happening, out var key) && key.Due <= until)
        {
            _queue.Dequeue();
            if (happening.IsCancelled || happening.Life.IsOver) continue;
            if (happening.Life.FrozenUntil > key.Due)
            {
                _queue.Enqueue(happening, (happening.Life.FrozenUntil, key.Number));
                continue;
            }

            Now = key.Due;
            Steps++;
            Mix((ulong)key.Due);
            Mix((ulong)happening.Life.Number);
            happening.Happen();
            happening.Life.OnStep();
            return true;
        }

        Now = Math.Max(Now, until);
        return false;
    }

    /// <summary>Takes something into <see cref="Trace"/>.</summary>
    public void Mix(ulong of) => Trace = (Trace ^ of) * 1099511628211;

    /// <summary>Takes a text into <see cref="Trace"/>.</summary>
    public void Mix(string text)
    {
        foreach (var c in text) Mix(c);
    }
}

/// <summary>
/// The life of one party: a run of an agent, a service, the clients, the world. What it awaits goes on in it; when it is over,
/// nothing of it happens any more, wherever it was.
/// </summary>
internal sealed class Life(Scheduler scheduler, int number, string name) : SynchronizationContext
{
    private int _stepsLeft = -1;
    private Action? _lastStep;

    public string Name => name;

    public int Number => number;

    public bool IsOver { get; private set; }

    public override void Post(SendOrPostCallback d, object? state) => scheduler.Soon(this, d, state);

    public override void Send(SendOrPostCallback d, object? state) => Run(() => d(state));

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Until when nothing of this life happens.</summary>
    public long FrozenUntil { get; private set; }

    /// <summary>Whether it stands still now.</summary>
    public bool IsStill => FrozenUntil > scheduler.Now;

    /// <summary>Nothing of this life happens for a while, as when a machine stands still; then all that was to.</summary>
    public void Freeze(TimeSpan time) => FrozenUntil = Math.Max(FrozenUntil, scheduler.Now + time.Ticks);

    /// <summary>Runs something of this life as soon as it is not frozen: mostly now.</summary>
    public void RunAwake(Action action)
    {
        if (FrozenUntil > scheduler.Now) scheduler.At(FrozenUntil, this, _ => action(), null);
        else Run(action);
    }

    /// <summary>Completes when this life is not frozen.</summary>
    public Task AwakeAsync()
    {
        if (FrozenUntil <= scheduler.Now) return Task.CompletedTask;
        var awake = new TaskCompletionSource();
        scheduler.At(FrozenUntil, this, _ => awake.SetResult(), null);
        return awake.Task;
    }

    /// <summary>Runs something of this life now.</summary>
    public void Run(Action action)
    {
        if (IsOver) return;
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            action();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>Makes something of this life now.</summary>
    public T Make<T>(Func<T> make)
    {
        T made = default!;
        Run(() => made = make());
        return made;
    }

    /// <summary>Begins something of this life now; what it comes to is awaited wherever one is.</summary>
    public Task<T> Begin<T>(Func<Task<T>> begin)
    {
        var begun = new TaskCompletionSource<T>().Task;
        Run(() => begun = begin());
        return begun;
    }

    /// <summary>Does something once so many steps of this life have happened: between any two of its awaits. Null: nothing after all.</summary>
    public void After(int steps, Action? act) => (_stepsLeft, _lastStep) = (steps, act);

    public void OnStep()
    {
        if (_stepsLeft < 0 || --_stepsLeft >= 0) return;
        var (act, _) = (_lastStep, _lastStep = null);
        act?.Invoke();
    }

    public void End() => IsOver = true;
}
