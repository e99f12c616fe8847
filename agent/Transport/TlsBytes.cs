namespace Cheops.Agent.Transport;

/// <summary>A transport as the stream over which TLS is spoken.</summary>
/// <remarks>
/// It knows two things that a stream over a socket does not. While hands are shaken, what comes is handed to the thread
/// pool, since it is answered by signing, and completions may run inline on the thread that polls the sockets. And an
/// end of the bytes below is no end of the session: only close_notify is (RFC 8446 section 6.1, RFC 9112 section 9.8),
/// and after that nothing is read from here any more.
/// </remarks>
internal sealed class TlsBytes(ByteTransport transport) : Stream
{
    private volatile bool _shaken;

    /// <summary>Hands are shaken: from now on what comes is only decrypted.</summary>
    public void EndHandshake() => _shaken = true;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var received = await transport.ReceiveAsync(buffer);
        if (!_shaken) await Task.Yield();
        else if (received == 0 && buffer.Length > 0) throw new IOException("the connection ended within its TLS session");
        return received;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => transport.SendAsync(buffer);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        transport.SendAsync(buffer.AsMemory(offset, count)).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush()
    {
        // Whatever was written is sent.
    }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read without blocking");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("write without blocking");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
