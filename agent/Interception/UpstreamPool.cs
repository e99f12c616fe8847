using Cheops.Agent.Transport;
using Cheops.Proto;

namespace Cheops.Agent.Interception;

/// <summary>Makes connections to one service instance.</summary>
/// <param name="asFrontProxy">Whether the connection shows the front proxy's certificate, so that an asserted user is believed.</param>
/// <param name="cancellation">Ends the attempt.</param>
/// <exception cref="IOException">The instance was not reached.</exception>
public delegate ValueTask<Channel> ConnectAsync(bool asFrontProxy, CancellationToken cancellation);

/// <summary>
/// Connections to one service instance, used again: the last that fell idle first, so that a quiet service keeps few.
/// One that the service closes, or says something on, while idle is dropped at once.
/// </summary>
public sealed class UpstreamPool : IAsyncDisposable
{
    private readonly ConnectAsync _connect;
    private readonly Deadlines _deadlines;
    private readonly Deadline _sweep;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly List<UpstreamConnection>[] _idle = [[], []];
    private long _opened;
    private long _reused;
    private long _failed;
    private long _retried;
    private bool _disposed;

    /// <summary>Makes an empty pool.</summary>
    public UpstreamPool(ConnectAsync connect, Deadlines deadlines, TimeProvider time)
    {
        _connect = connect;
        _deadlines = deadlines;
        _time = time;
        _sweep = deadlines.Register(DropStale);
        _sweep.Arm(Bounds.PoolIdleTimeMaxMs / 4);
    }

    /// <summary>What Host says to the service when the client, being an old one, names none.</summary>
    public byte[] DefaultHost { get; init; } = [];

    /// <summary>Connections made since the start.</summary>
    public long Opened => Interlocked.Read(ref _opened);

    /// <summary>Exchanges that found a connection waiting.</summary>
    public long Reused => Interlocked.Read(ref _reused);

    /// <summary>Attempts to connect that failed.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    /// <summary>Requests sent once more because a used connection had been closed.</summary>
    public long Retried => Interlocked.Read(ref _retried);

    /// <summary>Connections that wait for an exchange.</summary>
    public int Idle
    {
        get
        {
            lock (_gate) return _idle[0].Count + _idle[1].Count;
        }
    }

    internal void NoteRetry() => Interlocked.Increment(ref _retried);

    /// <summary>Takes a connection that waits, or makes one.</summary>
    /// <param name="asFrontProxy">Which kind.</param>
    /// <param name="fresh">Whether to make one in any case.</param>
    /// <exception cref="IOException">The instance was not reached within <see cref="Bounds.ConnectTimeMaxMs"/>.</exception>
    public ValueTask<UpstreamConnection> AcquireAsync(bool asFrontProxy, bool fresh = false)
    {
        if (!fresh && TryTake(asFrontProxy) is { } waiting)
        {
            Interlocked.Increment(ref _reused);
            return new(waiting);
        }

        return OpenAsync(asFrontProxy);
    }

    private UpstreamConnection? TryTake(bool asFrontProxy)
    {
        lock (_gate)
        {
            var idle = _idle[asFrontProxy ? 1 : 0];
            while (idle.Count > 0)
            {
                var connection = idle[^1];
                idle.RemoveAt(idle.Count - 1);
                connection.OnIdleInput = null;
                if (!connection.HasInput) return connection;
                _ = connection.CloseAsync();
            }

            return null;
        }
    }

    private async ValueTask<UpstreamConnection> OpenAsync(bool asFrontProxy)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.ConnectTimeMaxMs), _time);
        try
        {
            var channel = await _connect(asFrontProxy, limit.Token);
            Interlocked.Increment(ref _opened);
            return new UpstreamConnection(channel) { DefaultHost = DefaultHost };
        }
        catch (OperationCanceledException e)
        {
            Interlocked.Increment(ref _failed);
            throw new IOException($"the service did not accept a connection within {Bounds.ConnectTimeMaxMs / 1000} s", e);
        }
        catch (IOException)
        {
            Interlocked.Increment(ref _failed);
            throw;
        }
    }

    /// <summary>Takes a connection back after an exchange: to wait for the next, or to be closed.</summary>
    internal void Release(UpstreamConnection connection, bool asFrontProxy)
    {
        if (connection.IsReusable)
        {
            connection.IdleSinceMs = _deadlines.NowMs;
            connection.WatchIdle();
            lock (_gate)
            {
                var idle = _idle[asFrontProxy ? 1 : 0];
                if (!_disposed && idle.Count < Bounds.PoolIdleCountMax && !connection.HasInput)
                {
                    connection.OnIdleInput = connection.DropFrom(this, asFrontProxy);
                    idle.Add(connection);
                    return;
                }
            }
        }

        _ = connection.CloseAsync();
    }

    internal void Drop(UpstreamConnection connection, bool asFrontProxy)
    {
        lock (_gate)
        {
            if (!_idle[asFrontProxy ? 1 : 0].Remove(connection)) return;
        }

        _ = connection.CloseAsync();
    }

    private void DropStale()
    {
        List<UpstreamConnection> stale = [];
        var before = _deadlines.NowMs - Bounds.PoolIdleTimeMaxMs;
        lock (_gate)
        {
            if (_disposed) return;
            foreach (var idle in _idle)
            {
                var count = idle.FindIndex(c => c.IdleSinceMs > before) is var first and >= 0 ? first : idle.Count;
                stale.AddRange(idle.Take(count));
                idle.RemoveRange(0, count);
            }
        }

        foreach (var connection in stale) _ = connection.CloseAsync();
        _sweep.Arm(Bounds.PoolIdleTimeMaxMs / 4);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        List<UpstreamConnection> all;
        lock (_gate)
        {
            _disposed = true;
            all = [.. _idle[0], .. _idle[1]];
            _idle[0].Clear();
            _idle[1].Clear();
        }

        _sweep.Dispose();
        foreach (var connection in all) await connection.DisposeAsync();
    }
}
