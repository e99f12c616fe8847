namespace Cheops.Agent.Transport;

/// <summary>Bytes between two ends in this process, bounded: the twin of a socket, for tests.</summary>
public sealed class MemoryTransport : ByteTransport
{
    private readonly Direction _in;
    private readonly Direction _out;

    private MemoryTransport(Direction incoming, Direction outgoing)
    {
        _in = incoming;
        _out = outgoing;
    }

    /// <summary>Makes a pair of channels connected to each other; each direction holds <paramref name="capacity"/> bytes.</summary>
    public static (Channel Client, Channel Server) Pair(int capacity = 64 * 1024)
    {
        var (client, server) = TransportPair(capacity);
        return (new BufferedChannel(client), new BufferedChannel(server));
    }

    /// <summary>Makes the two ends without the channels over them, for what lies between: TLS.</summary>
    public static (MemoryTransport Client, MemoryTransport Server) TransportPair(int capacity = 64 * 1024)
    {
        var there = new Direction(capacity);
        var back = new Direction(capacity);
        return (new MemoryTransport(back, there), new MemoryTransport(there, back));
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer) => _in.ReadAsync(buffer);

    /// <inheritdoc/>
    public override ValueTask SendAsync(ReadOnlyMemory<byte> data) => _out.WriteAsync(data);

    /// <inheritdoc/>
    public override ValueTask EndSendAsync()
    {
        _out.End();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Abort()
    {
        _in.Fail();
        _out.Fail();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        // As a socket does: nobody will read any more, so whoever writes to us is reset.
        _in.Fail();
        _out.FailUnlessEnded();
    }

    private sealed class Direction(int capacity)
    {
        private readonly Lock _gate = new();
        private readonly Queue<byte> _bytes = new();
        private TaskCompletionSource? _changed;
        private bool _ended;
        private bool _failed;

        public async ValueTask<int> ReadAsync(Memory<byte> buffer)
        {
            while (true)
            {
                Task wait;
                lock (_gate)
                {
                    if (_failed) throw new IOException("the channel was reset");
                    if (_bytes.Count > 0 || _ended) return Take(buffer.Span);
                    wait = Changed();
                }

                await wait;
            }
        }

        private int Take(Span<byte> to)
        {
            var count = Math.Min(to.Length, _bytes.Count);
            for (var i = 0; i < count; i++) to[i] = _bytes.Dequeue();
            Signal();
            return count;
        }

        public async ValueTask WriteAsync(ReadOnlyMemory<byte> data)
        {
            while (data.Length > 0)
            {
                Task wait;
                lock (_gate)
                {
                    if (_failed || _ended) throw new IOException("the channel was reset");
                    var count = Math.Min(capacity - _bytes.Count, data.Length);
                    foreach (var b in data.Span[..count]) _bytes.Enqueue(b);
                    data = data[count..];
                    if (count > 0) Signal();
                    if (data.Length == 0) return;
                    wait = Changed();
                }

                await wait;
            }
        }

        public void End()
        {
            lock (_gate)
            {
                if (_failed) throw new IOException("the channel was reset");
                _ended = true;
                Signal();
            }
        }

        public void Fail()
        {
            lock (_gate)
            {
                _failed = true;
                Signal();
            }
        }

        public void FailUnlessEnded()
        {
            if (!_ended) Fail();
        }

        private Task Changed() => (_changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        private void Signal()
        {
            _changed?.TrySetResult();
            _changed = null;
        }
    }
}
