using System.Collections.Concurrent;
using Cheops.Agent.Mesh.Protocol;

namespace Cheops.Agent.Mesh;

/// <summary>What the way from one site to another is like. May be changed at any time.</summary>
internal sealed class MemoryLinkConditions
{
    /// <summary>How long a message is on its way, at least 1 ms.</summary>
    public TimeSpan Delay { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Up to how much longer a message takes by chance; lanes overtake each other, messages on one lane don't.</summary>
    public TimeSpan Jitter { get; set; }

    /// <summary>How much longer the bulk lane takes.</summary>
    public TimeSpan BulkDelay { get; set; }

    /// <summary>How fast the line is; each lane has it to itself. 0: as fast as one likes.</summary>
    public long BytesPerSecond { get; set; }

    /// <summary>The share of messages that is lost.</summary>
    public double Loss { get; set; }

    /// <summary>The share of messages that arrives twice.</summary>
    public double Duplication { get; set; }

    /// <summary>Whether everything is lost and nobody told.</summary>
    public bool IsCut { get; set; }

    /// <summary>Whether it is known that nobody is there ("no responders").</summary>
    public bool IsGone { get; set; }
}

/// <summary>Links between sites in one process, in the time and by the chance they are given: the twin of NATS, for tests.</summary>
internal sealed class MemoryLinks(TimeProvider time, Random chance)
{
    private readonly ConcurrentDictionary<(string From, string To), MemoryLinkConditions> _conditions = new();
    private readonly ConcurrentDictionary<(string Self, string Peer), End> _ends = new();

    // Due times are kept in order of arrival, also when two fall on the same tick of the clock.
    private readonly PriorityQueue<Action, (long Due, long Number)> _due = new();
    private readonly Lock _running = new();
    private readonly long _startedAt = time.GetTimestamp();
    private long _scheduled;

    /// <summary>What the way from a site to another is like.</summary>
    public MemoryLinkConditions Way(string from, string to) => _conditions.GetOrAdd((from, to), _ => new MemoryLinkConditions());

    /// <summary>Makes the end at <paramref name="self"/> of the link to <paramref name="peer"/>; one that was there is gone.</summary>
    public ILinkTransport Connect(string self, string peer) => _ends[(self, peer)] = new End(this, self, peer);

    /// <summary>Takes the end away, as when an agent dies.</summary>
    public void Remove(string self, string peer) => _ends.TryRemove((self, peer), out _);

    private double Chance()
    {
        lock (chance) return chance.NextDouble();
    }

    private sealed class End(MemoryLinks links, string self, string peer) : ILinkTransport
    {
        private readonly Lock _gate = new();
        private readonly long[] _freeAt = new long[2];
        private Action<LinkLane, ReadOnlyMemory<byte>>? _receive;
        private Action<ulong>? _undeliverable;

        public void Start(Action<LinkLane, ReadOnlyMemory<byte>> receive, Action<ulong> undeliverable)
        {
            _undeliverable = undeliverable;
            _receive = receive;
        }

        public ValueTask SendAsync(LinkLane lane, ReadOnlyMemory<byte> message, ulong token, CancellationToken cancellation)
        {
            var way = links.Way(self, peer);
            if (way.IsGone || !links._ends.TryGetValue((peer, self), out var there) || there._receive is null)
            {
                if (token != 0) After(TimeSpan.FromMilliseconds(1), () => _undeliverable?.Invoke(token));
                return ValueTask.CompletedTask;
            }

            if (way.IsCut || links.Chance() < way.Loss) return ValueTask.CompletedTask;
            var copies = links.Chance() < way.Duplication ? 2 : 1;
            for (var i = 0; i < copies; i++)
            {
                var copy = message.ToArray();
                After(Due(way, lane, copy.Length), () => links.Arrive(way, there, (peer, self), lane, copy));
            }

            return ValueTask.CompletedTask;
        }

        // A lane is a queue: what is sent later arrives later.
        private TimeSpan Due(MemoryLinkConditions way, LinkLane lane, int bytes)
        {
            var delay = way.Delay + (lane == LinkLane.Bulk ? way.BulkDelay : TimeSpan.Zero) + way.Jitter * links.Chance();
            var now = links.Now;
            lock (_gate)
            {
                var onLine = way.BytesPerSecond > 0 ? bytes * TimeSpan.TicksPerSecond / way.BytesPerSecond : 0;
                _freeAt[(int)lane] = Math.Max(_freeAt[(int)lane] + onLine, now + onLine + Math.Max(delay.Ticks - onLine, TimeSpan.TicksPerMillisecond));
                return TimeSpan.FromTicks(_freeAt[(int)lane] - now);
            }
        }

        private void After(TimeSpan delay, Action action) => links.Schedule(delay, action);

        public void Deliver(LinkLane lane, byte[] message) => _receive?.Invoke(lane, message);
    }

    private long Now => time.GetElapsedTime(_startedAt).Ticks;

    private void Arrive(MemoryLinkConditions way, End there, (string, string) key, LinkLane lane, byte[] message)
    {
        if (!way.IsCut && _ends.TryGetValue(key, out var now) && now == there) there.Deliver(lane, message);
    }

    private void Schedule(TimeSpan delay, Action action)
    {
        var due = Now + delay.Ticks;
        lock (_due) _due.Enqueue(action, (due, ++_scheduled));
        ITimer? timer = null;
        timer = time.CreateTimer(
            _ =>
            {
                timer?.Dispose();
                RunDue(due);
            },
            null,
            delay,
            Timeout.InfiniteTimeSpan);
    }

    // A real timer may come a little before the clock says so: what it was made for is due all the same.
    private void RunDue(long due)
    {
        // One at a time: order is part of the promise. A timer that finds another at work leaves its message to it or to the next.
        lock (_running)
        {
            while (true)
            {
                Action? action;
                lock (_due)
                {
                    if (!_due.TryPeek(out action, out var key) || key.Due > Math.Max(Now, due)) return;
                    _due.Dequeue();
                }

                action();
            }
        }
    }
}
