using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Cheops.Agent.Transport;

/// <summary>Bytes over a TCP socket by the framework's own means: what TLS goes over.</summary>
internal sealed class SocketTransport : ByteTransport
{
    private readonly Socket _socket;
    private int _aborted;

    public SocketTransport(Socket socket)
    {
        _socket = socket;
        socket.NoDelay = true;
        RemoteEndPoint = socket.RemoteEndPoint;
        LocalEndPoint = socket.LocalEndPoint;
    }

    public Socket Socket => _socket;

    public override EndPoint? RemoteEndPoint { get; }

    public override EndPoint? LocalEndPoint { get; }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        try
        {
            return await _socket.ReceiveAsync(buffer, SocketFlags.None);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Translated(e);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        try
        {
            while (data.Length > 0) data = data[await _socket.SendAsync(data, SocketFlags.None)..];
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Translated(e);
        }
    }

    public override ValueTask EndSendAsync()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
            return ValueTask.CompletedTask;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Translated(e);
        }
    }

    public override void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) == 0) Reset(_socket);
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

    protected override void Dispose(bool disposing) => _socket.Dispose();

    private static IOException Translated(Exception e) => new(
        e is SocketException socket ? $"the connection failed: {socket.SocketErrorCode}" : "the connection was aborted", e);
}
