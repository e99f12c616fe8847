using System.Runtime.InteropServices;

namespace Cheops.Agent.Transport;

/// <summary>
/// One thread that waits for all its sockets by epoll and runs what awaits them, inline. Handing completions to a pool
/// of threads costs more than everything an interceptor does with a small request (STACK.md section 5 has the figures),
/// so nothing that runs here may block.
/// </summary>
internal sealed unsafe class Reactor
{
    private const int EventsMax = 256;

    // The kernel packs epoll_event on x86-64 and nowhere else.
    private static readonly int EventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    private static readonly int DataOffset = EventSize - 8;

    // After the sizes, which the making of a reactor needs.
    private static readonly Reactor[] All = [.. Enumerable.Range(0, Math.Clamp(Environment.ProcessorCount / 2, 1, 4)).Select(i => new Reactor(i))];
    private static uint Turn;

    // What no socket's events say of themselves: their generations begin at 1.
    private const ulong Ping = 0;

    private readonly int _epoll;
    private readonly int _pings;
    private readonly Lock _gate = new();
    private ReactorSocket?[] _sockets = new ReactorSocket?[256];
    private uint _generation;
    private TaskCompletionSource? _pinged;

    private Reactor(int index)
    {
        _epoll = Native.EpollCreate(Native.CloseOnExec);
        if (_epoll < 0) throw new IOException($"epoll cannot be had: error {Marshal.GetLastPInvokeError()}");
        _pings = Native.EventDescriptor(0, Native.CloseOnExec | Native.NonBlocking);
        var one = stackalloc byte[16];
        *(uint*)one = Native.In | Native.EdgeTriggered;
        *(ulong*)(one + DataOffset) = Ping;
        if (_pings < 0 || Native.EpollControl(_epoll, Native.Add, _pings, one) != 0)
            throw new IOException($"a reactor cannot be made: error {Marshal.GetLastPInvokeError()}");
        new Thread(Run) { IsBackground = true, Name = $"reactor {index}" }.Start();
    }

    /// <summary>The reactor for the next socket: they take turns.</summary>
    public static Reactor Next() => All[Interlocked.Increment(ref Turn) % (uint)All.Length];

    /// <summary>Completes when every reactor has come round to its events once more: none of them hangs in what it runs.</summary>
    public static Task PingAllAsync() => Task.WhenAll(All.Select(reactor => reactor.PingAsync()));

    private Task PingAsync()
    {
        // A ping that was not answered yet stands for the later ones too: of one that hangs nothing piles up.
        var ping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var pending = Interlocked.CompareExchange(ref _pinged, ping, null) ?? ping;
        var one = 1UL;
        if (Native.Write(_pings, (byte*)&one, sizeof(ulong)) < 0) throw new IOException($"a reactor cannot be pinged: error {Marshal.GetLastPInvokeError()}");
        return pending.Task;
    }

    /// <summary>Begins to watch a socket, edge-triggered, until it is closed.</summary>
    /// <exception cref="IOException">The system has no room for it.</exception>
    public void Add(ReactorSocket socket, SafeHandle handle)
    {
        var added = false;
        handle.DangerousAddRef(ref added);
        try
        {
            var descriptor = (int)handle.DangerousGetHandle();
            var one = stackalloc byte[16];
            lock (_gate)
            {
                if (descriptor >= _sockets.Length) Array.Resize(ref _sockets, Math.Max(descriptor + 1, _sockets.Length * 2));
                _sockets[descriptor] = socket;
                (socket.Descriptor, socket.Generation) = (descriptor, ++_generation);
                *(uint*)one = Native.In | Native.Out | Native.HangUpOfPeer | Native.EdgeTriggered;
                *(ulong*)(one + DataOffset) = ((ulong)_generation << 32) | (uint)descriptor;
            }

            if (Native.EpollControl(_epoll, Native.Add, descriptor, one) != 0)
                throw new IOException($"a socket cannot be watched: error {Marshal.GetLastPInvokeError()}");
        }
        finally
        {
            if (added) handle.DangerousRelease();
        }
    }

    /// <summary>Forgets a socket that is about to be closed, so that nothing of its connection is kept alive from here.</summary>
    public void Remove(ReactorSocket socket)
    {
        lock (_gate)
        {
            if (_sockets[socket.Descriptor] == socket) _sockets[socket.Descriptor] = null;
        }
    }

    private void Run()
    {
        var events = (byte*)NativeMemory.Alloc((nuint)(EventsMax * EventSize));
        while (true)
        {
            var count = Native.EpollWait(_epoll, events, EventsMax, -1);
            for (var i = 0; i < count; i++) Dispatch(events + i * EventSize);
        }
    }

    // Apart from the loop, whose frame would keep the last socket alive while it waits.
    private void Dispatch(byte* one)
    {
        // A descriptor is used again as soon as it is closed: the generation tells whose event it is.
        var data = *(ulong*)(one + DataOffset);
        var socket = Volatile.Read(ref _sockets)[(int)(uint)data];
        if (socket is not null && socket.Generation == (uint)(data >> 32)) socket.OnEvents(*(uint*)one);
        else if (data == Ping) Interlocked.Exchange(ref _pinged, null)?.SetResult();
    }
}

/// <summary>The system calls that the reactor needs.</summary>
internal static unsafe partial class Native
{
    public const int CloseOnExec = 0x80000, NonBlocking = 0x800, Add = 1, DoNotWait = 0x40, NoSignal = 0x4000;
    public const uint In = 1, Out = 4, Error = 8, HangUp = 16, HangUpOfPeer = 0x2000, EdgeTriggered = 0x80000000;
    public const int Interrupted = 4, TryAgain = 11, NoNetwork = 101, Refused = 111, NoRoute = 113, InProgress = 115;

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    public static partial int EpollCreate(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    public static partial int EpollControl(int epoll, int operation, int descriptor, byte* one);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    public static partial int EpollWait(int epoll, byte* events, int countMax, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    public static partial int EventDescriptor(uint value, int flags);

    // Never waits: the descriptor is one of events, and does not block.
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, byte* data, nint size);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    public static partial int Connect(SafeHandle socket, byte* address, int size);

    // Neither waits: both are called with MSG_DONTWAIT.
    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    public static partial nint Receive(nint descriptor, byte* buffer, nint size, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    public static partial nint Send(nint descriptor, byte* data, nint size, int flags);
}
