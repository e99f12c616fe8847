using System.Collections.Concurrent;
using FASTER.core;
using Session = FASTER.core.ClientSession<FASTER.core.SpanByte, FASTER.core.SpanByte, FASTER.core.Empty, Cheops.Store.Table.TableReading, FASTER.core.Empty, Cheops.Store.Table.TableFunctions>;

namespace Cheops.Store.Table;

/// <summary>One thread's way into FASTER at a time.</summary>
internal sealed class TableSession(FasterKV<SpanByte, SpanByte> store) : IDisposable
{
    private readonly Session _session = store.For(TableFunctions.Instance).NewSession<TableFunctions>(TableFunctions.Instance);
    private TableReading _reading = new();

    /// <summary>What the last read found.</summary>
    public TableReading Reading => _reading;

    /// <summary>Reads a key, from the disk if need be.</summary>
    public unsafe void Read(ReadOnlySpan<byte> key)
    {
        long begin;
        do
        {
            // A record that compaction moved while it was looked for is found where it is now.
            begin = store.Log.BeginAddress;
            _reading.Clear();
            fixed (byte* at = key)
            {
                var pinned = SpanByte.FromPointer(at, key.Length);
                var status = _session.Read(ref pinned, ref _reading);
                if (status.IsPending) _session.CompletePending(wait: true);
            }
        }
        while (!_reading.IsFound && store.Log.BeginAddress != begin);
    }

    /// <summary>Writes what is stored for a key.</summary>
    /// <exception cref="FasterException">It was not written.</exception>
    public unsafe void Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored)
    {
        fixed (byte* keyAt = key, storedAt = stored)
        {
            var pinned = SpanByte.FromPointer(keyAt, key.Length);
            var value = SpanByte.FromPointer(storedAt, stored.Length);
            var status = _session.Upsert(ref pinned, ref value);
            if (!status.IsCompletedSuccessfully) throw new FasterException($"a record was not written: {status}");
        }
    }

    public void Dispose()
    {
        _reading.Clear();
        _session.Dispose();
    }
}

/// <summary>Sessions for readers, used again and again.</summary>
internal sealed class TableSessions(FasterKV<SpanByte, SpanByte> store)
{
    private readonly ConcurrentStack<TableSession> _idle = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    // Sessions in use, and one more until it is closed.
    private int _users = 1;
    private int _closed;

    /// <summary>Takes a session; null when closed.</summary>
    public TableSession? Take()
    {
        Interlocked.Increment(ref _users);
        if (Volatile.Read(ref _closed) == 0) return _idle.TryPop(out var session) ? session : new TableSession(store);
        Leave();
        return null;
    }

    /// <summary>Gives a session back.</summary>
    public void Give(TableSession session)
    {
        session.Reading.Clear();
        _idle.Push(session);
        Leave();
    }

    /// <summary>Lets nobody take a session any more, and waits until all are given back.</summary>
    public async Task CloseAsync()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0) Leave();
        await _empty.Task;
        while (_idle.TryPop(out var session)) session.Dispose();
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0) _empty.TrySetResult();
    }
}
