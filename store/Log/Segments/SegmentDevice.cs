using FASTER.core;

namespace Cheops.Store.Log.Segments;

/// <summary>
/// FASTER's view of <see cref="ISegmentFiles"/>. Writes go one after another through a thread of their own, which may
/// block; they become durable in <see cref="CommitSlots.Commit"/>, once for all of them.
/// </summary>
internal sealed class SegmentDevice : StorageDeviceBase
{
    private const uint IOError = 5; // EIO: FASTER wants a number

    private readonly ISegmentFiles _files;
    private readonly Queue<Action> _work = new();
    private bool _isEnding;
    private readonly Thread _thread;

    public SegmentDevice(ISegmentFiles files)
        : base("log", sectorSize: 512, Devices.CAPACITY_UNSPECIFIED)
    {
        _files = files;
        _thread = new Thread(Work) { IsBackground = true, Name = "operation log" };
        _thread.Start();
    }

    /// <summary>Told of the first write that failed; on the device's thread.</summary>
    public Action<Exception>? WriteFailed { get; set; }

    /// <summary>The last read that failed. FASTER tells its caller that a read failed, but not why.</summary>
    public Exception? ReadFailure { get; private set; }

    /// <summary>Carries out something that may block on the device's thread, between writes; it must not throw.</summary>
    public void Post(Action action) => Enqueue(action);

    public override unsafe void WriteAsync(
        IntPtr sourceAddress, int segmentId, ulong destinationAddress, uint numBytesToWrite, DeviceIOCompletionCallback callback, object context) =>
        Enqueue(() =>
        {
            try
            {
                _files.Write(segmentId, (long)destinationAddress, new ReadOnlySpan<byte>((void*)sourceAddress, (int)numBytesToWrite));
            }
            catch (Exception e)
            {
                WriteFailed?.Invoke(e);
                callback(IOError, 0, context);
                return;
            }

            callback(0, numBytesToWrite, context);
        });

    // Reads do not wait behind writes, nor on the thread that asks.
    public override unsafe void ReadAsync(
        int segmentId, ulong sourceAddress, IntPtr destinationAddress, uint readLength, DeviceIOCompletionCallback callback, object context) =>
        ThreadPool.UnsafeQueueUserWorkItem(
            _ =>
            {
                try
                {
                    _files.Read(segmentId, (long)sourceAddress, new Span<byte>((void*)destinationAddress, (int)readLength));
                }
                catch (Exception e)
                {
                    ReadFailure = e;
                    callback(IOError, 0, context);
                    return;
                }

                callback(0, readLength, context);
            },
            null);

    public override void RemoveSegment(int segment) => _files.Remove(segment);

    public override void RemoveSegmentAsync(int segment, AsyncCallback callback, IAsyncResult result) => Enqueue(() =>
    {
        try
        {
            _files.Remove(segment);
        }
        catch (IOException)
        {
            // A segment that stays is removed when the log is opened the next time.
        }

        callback(result);
    });

    private void Enqueue(Action action)
    {
        lock (_work)
        {
            ObjectDisposedException.ThrowIf(_isEnding, this);
            _work.Enqueue(action);
            Monitor.Pulse(_work);
        }
    }

    // A monitor lets the thread sleep at once; the framework's collections look for work for a while first.
    private void Work()
    {
        while (Next() is { } action) action();
    }

    private Action? Next()
    {
        lock (_work)
        {
            while (_work.Count == 0 && !_isEnding) Monitor.Wait(_work);
            return _work.TryDequeue(out var action) ? action : null;
        }
    }

    public override void Dispose()
    {
        lock (_work)
        {
            if (_isEnding) return;
            _isEnding = true;
            Monitor.Pulse(_work);
        }

        _thread.Join();
    }
}
