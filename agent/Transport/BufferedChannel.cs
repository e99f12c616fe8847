using System.IO.Pipelines;
using System.Net;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

/// <summary>A channel over a <see cref="ByteTransport"/>: the pull reader and the direct writer.</summary>
public sealed class BufferedChannel : Channel
{
    private readonly ByteTransport _transport;
    private readonly PullReader _reader;
    private readonly DirectWriter _writer;
    private bool _outputEnded;
    private int _disposed;

    /// <summary>Makes a channel that owns <paramref name="transport"/>.</summary>
    public BufferedChannel(ByteTransport transport)
    {
        _transport = transport;
        _reader = new PullReader(transport);
        _writer = new DirectWriter(transport);
    }

    /// <inheritdoc/>
    public override PipeReader Input => _reader;

    /// <inheritdoc/>
    public override PipeWriter Output => _writer;

    /// <inheritdoc/>
    public override EndPoint? RemoteEndPoint => _transport.RemoteEndPoint;

    /// <inheritdoc/>
    public override EndPoint? LocalEndPoint => _transport.LocalEndPoint;

    /// <inheritdoc/>
    public override UserIdentity? PeerUser => _transport.PeerUser;

    /// <inheritdoc/>
    public override async ValueTask CompleteOutputAsync()
    {
        await _writer.FlushAsync();
        await _transport.EndSendAsync();
        _outputEnded = true;
    }

    /// <inheritdoc/>
    public override void Abort() => _transport.Abort();

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return ValueTask.CompletedTask;
        if (!_outputEnded) _transport.Abort();
        _transport.Dispose();
        _reader.Release();
        _writer.Release();
        return ValueTask.CompletedTask;
    }
}
