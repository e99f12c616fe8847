using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Cheops.Proto;

namespace Cheops.Agent.Transport;

/// <summary>
/// A <see cref="PipeWriter"/> that sends straight to its transport: what was written is gathered in one small buffer, so
/// that a head and the first bytes of its body are one send, and large blocks are sent from where they are.
/// </summary>
internal sealed class DirectWriter(ByteTransport transport) : PipeWriter
{
    private static readonly FlushResult Flushed = new(isCanceled: false, isCompleted: false);

    private byte[] _buffer = [];
    private int _length;
    private BufferUse _use;
    private bool _holds;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _length;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureRoom(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(_length);
    }

    public override Span<byte> GetSpan(int sizeHint = 0)
    {
        EnsureRoom(Math.Max(sizeHint, 1));
        return _buffer.AsSpan(_length);
    }

    public override void Advance(int bytes)
    {
        if (bytes < 0 || _length + bytes > _buffer.Length) throw new ArgumentOutOfRangeException(nameof(bytes));
        _length += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) =>
        _length == 0 ? new(Flushed) : SendBufferAsync();

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        if (_length > 0 && _length + source.Length <= Math.Max(_buffer.Length, Bounds.JoinedSendSizeMax))
        {
            source.Span.CopyTo(GetSpan(source.Length));
            _length += source.Length;
            return SendBufferAsync();
        }

        return SendBothAsync(source);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FlushResult> SendBufferAsync()
    {
        try
        {
            await transport.SendAsync(_buffer.AsMemory(0, _length));
        }
        finally
        {
            // Sent or lost: either way nothing of it will be sent again.
            ReturnBuffer();
            _holds = false;
            _use.End();
        }

        return Flushed;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FlushResult> SendBothAsync(ReadOnlyMemory<byte> source)
    {
        if (_length > 0) await SendBufferAsync();
        if (source.Length > 0) await transport.SendAsync(source);
        return Flushed;
    }

    private void EnsureRoom(int size)
    {
        // From the first byte gathered until it is sent the buffer is in use: a channel that is disposed of meanwhile
        // leaves it to the collector rather than give the pool what is still written to.
        if (_use.IsReleased || (!_holds && !_use.TryBegin())) throw new IOException("the channel was closed");
        _holds = true;
        if (_buffer.Length - _length >= size) return;
        var larger = BufferPool.Rent(_length + size);
        _buffer.AsSpan(0, _length).CopyTo(larger);
        BufferPool.Return(_buffer);
        _buffer = larger;
    }

    private void ReturnBuffer()
    {
        BufferPool.Return(_buffer);
        _buffer = [];
        _length = 0;
    }

    public override void CancelPendingFlush() => throw new NotSupportedException("abort the channel instead");

    public override void Complete(Exception? exception = null) => Release();

    /// <summary>Drops what was not flushed and gives the buffer back, unless bytes are being gathered or sent.</summary>
    public void Release()
    {
        if (_use.TryRelease(out var idle) && idle) ReturnBuffer();
    }
}
