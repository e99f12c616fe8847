using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Cheops.Agent.Transport;

/// <summary>Bytes over a TCP socket on a reactor. The framework's <see cref="Socket"/> owns the descriptor; reading and writing go straight to the system.</summary>
/// <remarks>
/// Edge-triggered: an event says that something has changed, once. Each direction therefore remembers whether it may be
/// ready. The mark is taken away before the system is asked, so that an event that comes meanwhile is never lost; a read
/// that did not fill its buffer has emptied the socket, which saves the call that would say so.
/// </remarks>
internal sealed class ReactorSocket : ByteTransport, IValueTaskSource<int>, IValueTaskSource
{
    private const int NotReady = 0, Ready = 1, Waiting = 2;

    private readonly Socket _socket;
    private readonly SafeSocketHandle _handle;
    private readonly Reactor _reactor = Reactor.Next();
    private ManualResetValueTaskSourceCore<int> _receiving;
    private ManualResetValueTaskSourceCore<bool> _sending;
    private Memory<byte> _buffer;

    // Being watched begins with an event if something is there already.
    private int _readable = NotReady;
    private int _writable;
    private volatile bool _ended;
    private volatile bool _hungUp;
    private int _aborted;

    /// <summary>Takes over a connected socket.</summary>
    /// <exception cref="IOException">It cannot be watched.</exception>
    public ReactorSocket(Socket socket)
        : this(socket, socket.RemoteEndPoint, isConnected: true)
    {
    }

    private ReactorSocket(Socket socket, EndPoint? remote, bool isConnected)
    {
        _socket = socket;
        _handle = socket.SafeHandle;
        socket.NoDelay = true;
        RemoteEndPoint = remote;
        LocalEndPoint = socket.LocalEndPoint;
        _writable = isConnected ? Ready : NotReady;
        _reactor.Add(this, _handle);
    }

    /// <summary>Connects to an address.</summary>
    /// <remarks>
    /// By the system's call: a socket that the framework has connected stays watched by the framework's own thread too, which
    /// then wakes for each of its events, for nothing.
    /// </remarks>
    /// <exception cref="SocketException">Nobody answers there.</exception>
    /// <exception cref="IOException">It cannot be watched.</exception>
    /// <exception cref="OperationCanceledException">The time was up.</exception>
    public static async ValueTask<ReactorSocket> DialAsync(IPEndPoint address, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        ReactorSocket? dialed = null;
        try
        {
            socket.Blocking = false;
            dialed = new ReactorSocket(socket, address, isConnected: Connect(socket, address));
            await using (cancellation.UnsafeRegister(static dialed => ((ReactorSocket)dialed!).Abort(), dialed)) await dialed.WritableAsync();
            var error = (SocketError)(int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;
            return error == SocketError.Success ? dialed : throw new SocketException((int)error);
        }
        catch (Exception e)
        {
            dialed?.Dispose();
            socket.Dispose();
            if (cancellation.IsCancellationRequested) throw new OperationCanceledException("the connection was not made in time", e, cancellation);
            throw;
        }
    }

    // Whether it is connected at once; else an event will tell.
    private static unsafe bool Connect(Socket socket, IPEndPoint address)
    {
        var to = address.Serialize();
        fixed (byte* start = to.Buffer.Span)
        {
            if (Native.Connect(socket.SafeHandle, start, to.Size) == 0) return true;
        }

        return Marshal.GetLastPInvokeError() switch
        {
            Native.InProgress => false,
            Native.Refused => throw new SocketException((int)SocketError.ConnectionRefused),
            Native.NoNetwork => throw new SocketException((int)SocketError.NetworkUnreachable),
            Native.NoRoute => throw new SocketException((int)SocketError.HostUnreachable),
            var other => throw new IOException(Marshal.GetPInvokeErrorMessage(other)),
        };
    }

    /// <summary>The socket itself, for what is asked of it rarely.</summary>
    public Socket Socket => _socket;

    /// <summary>The system's number for it while it is open.</summary>
    public int Descriptor { get; set; }

    /// <summary>Tells this socket from those that had its descriptor before.</summary>
    public uint Generation { get; set; }

    public override EndPoint? RemoteEndPoint { get; }

    public override EndPoint? LocalEndPoint { get; }

    /// <summary>What the reactor saw. Runs whatever waits, inline.</summary>
    public void OnEvents(uint events)
    {
        const uint broken = Native.Error | Native.HangUp;
        if ((events & (Native.HangUpOfPeer | broken)) != 0) _hungUp = true;
        if ((events & (Native.In | Native.HangUpOfPeer | broken)) != 0 && Interlocked.Exchange(ref _readable, Ready) == Waiting) FinishReceive();
        if ((events & (Native.Out | broken)) != 0 && Interlocked.Exchange(ref _writable, Ready) == Waiting) _sending.SetResult(true);
    }

    // ---- receiving --------------------------------------------------------------------------------------------

    public override ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        if (TryReceive(buffer, out var count, out var error))
            return error is null ? new(count) : ValueTask.FromException<int>(error);

        _receiving.Reset();
        _buffer = buffer;
        return Interlocked.CompareExchange(ref _readable, Waiting, NotReady) == NotReady
            ? new(this, _receiving.Version)
            : ReceiveAgain();
    }

    // Something came between the attempt and the wait.
    private ValueTask<int> ReceiveAgain()
    {
        FinishReceive();
        return new(this, _receiving.Version);
    }

    private void FinishReceive()
    {
        do
        {
            if (!TryReceive(_buffer, out var count, out var error)) continue;
            _buffer = default;
            if (error is null) _receiving.SetResult(count);
            else _receiving.SetException(error);
            return;
        }
        while (Interlocked.CompareExchange(ref _readable, Waiting, NotReady) != NotReady);
    }

    // True when there is a result: bytes, the end, or an error.
    private bool TryReceive(Memory<byte> buffer, out int count, out IOException? error)
    {
        count = 0;
        error = null;
        while (Volatile.Read(ref _aborted) == 0)
        {
            if (Volatile.Read(ref _readable) != Ready) return false;
            if (buffer.IsEmpty || _ended) return true;
            Volatile.Write(ref _readable, NotReady);
            var received = Receive(buffer.Span, out var code);
            if (received > 0)
            {
                // The end may have come with the same event as these bytes: no other will tell of it.
                if (received == buffer.Length || _hungUp) Volatile.Write(ref _readable, Ready);
                count = received;
                return true;
            }

            if (received == 0)
            {
                _ended = true;
                Volatile.Write(ref _readable, Ready);
                return true;
            }

            if (code == Native.Interrupted) Volatile.Write(ref _readable, Ready);
            else if (code != Native.TryAgain)
            {
                Volatile.Write(ref _readable, Ready);
                error = Failed(code);
                return true;
            }
        }

        error = Aborted();
        return true;
    }

    private unsafe int Receive(Span<byte> buffer, out int code)
    {
        code = 0;
        var held = false;
        try
        {
            // Held, so that the descriptor cannot become another socket's while the call runs.
            _handle.DangerousAddRef(ref held);
            fixed (byte* start = buffer)
            {
                var count = (int)Native.Receive(_handle.DangerousGetHandle(), start, buffer.Length, Native.DoNotWait);
                if (count < 0) code = Marshal.GetLastPInvokeError();
                return count;
            }
        }
        catch (ObjectDisposedException)
        {
            code = -1;
            return -1;
        }
        finally
        {
            if (held) _handle.DangerousRelease();
        }
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    public override ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        if (TrySend(ref data, out var error)) return error is null ? default : ValueTask.FromException(error);
        return SendRestAsync(data);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendRestAsync(ReadOnlyMemory<byte> data)
    {
        while (true)
        {
            await WritableAsync();
            if (!TrySend(ref data, out var error)) continue;
            if (error is not null) throw error;
            return;
        }
    }

    private ValueTask WritableAsync()
    {
        _sending.Reset();
        return Interlocked.CompareExchange(ref _writable, Waiting, NotReady) == NotReady ? new(this, _sending.Version) : default;
    }

    // True when all was sent, or nothing more can be.
    private bool TrySend(ref ReadOnlyMemory<byte> data, out IOException? error)
    {
        error = null;
        while (data.Length > 0)
        {
            if (Volatile.Read(ref _aborted) != 0)
            {
                error = Aborted();
                return true;
            }

            Volatile.Write(ref _writable, NotReady);
            var sent = Send(data.Span, out var code);
            if (sent >= 0)
            {
                data = data[sent..];
                Volatile.Write(ref _writable, Ready);
            }
            else if (code == Native.TryAgain)
            {
                return false;
            }
            else if (code != Native.Interrupted)
            {
                error = Failed(code);
                return true;
            }
        }

        return true;
    }

    private unsafe int Send(ReadOnlySpan<byte> data, out int code)
    {
        code = 0;
        var held = false;
        try
        {
            _handle.DangerousAddRef(ref held);
            fixed (byte* start = data)
            {
                var count = (int)Native.Send(_handle.DangerousGetHandle(), start, data.Length, Native.DoNotWait | Native.NoSignal);
                if (count < 0) code = Marshal.GetLastPInvokeError();
                return count;
            }
        }
        catch (ObjectDisposedException)
        {
            code = -1;
            return -1;
        }
        finally
        {
            if (held) _handle.DangerousRelease();
        }
    }

    // ---- ending -----------------------------------------------------------------------------------------------

    public override ValueTask EndSendAsync()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
            return ValueTask.CompletedTask;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return ValueTask.FromException(new IOException("the connection was reset", e));
        }
    }

    public override void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0) return;
        _reactor.Remove(this);
        Reset(_socket);
        FailWaiting();
    }

    // Whoever waits will get no event any more.
    private void FailWaiting()
    {
        if (Interlocked.Exchange(ref _readable, Ready) == Waiting)
        {
            _buffer = default;
            _receiving.SetException(Aborted());
        }

        if (Interlocked.Exchange(ref _writable, Ready) == Waiting) _sending.SetException(Aborted());
    }

    /// <summary>Closes a socket so that its peer sees a reset.</summary>
    internal static void Reset(Socket socket)
    {
        try
        {
            // With a linger of zero, closing sends RST: the peer cannot take it for an orderly end.
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already gone: there is nobody left to tell.
        }

        socket.Dispose();
    }

    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0) return;
        _reactor.Remove(this);
        _socket.Dispose();
        FailWaiting();
    }

    private static IOException Aborted() => new("the connection was aborted");

    private static IOException Failed(int code) =>
        code < 0 ? Aborted() : new IOException($"the connection failed: {Marshal.GetPInvokeErrorMessage(code)}");

    // ---- what awaits --------------------------------------------------------------------------------------------

    int IValueTaskSource<int>.GetResult(short token) => _receiving.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<int>.GetStatus(short token) => _receiving.GetStatus(token);

    void IValueTaskSource<int>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _receiving.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource.GetResult(short token) => _sending.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _sending.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _sending.OnCompleted(continuation, state, token, flags);
}
