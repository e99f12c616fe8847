using System.Buffers;
using Cheops.Agent.Interception;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Store.Bodies;

namespace Cheops.Agent.Collaboration;

/// <summary>
/// A request's body that may have to be sent to more than one place, one after another: it is kept as it is read from
/// the client, so that the next place gets it from the start. A place that answered early leaves the rest unread; the
/// next goes on reading from the client where it left off.
/// </summary>
internal sealed class ReplayableBody : IAsyncDisposable
{
    private readonly BodySource _client;
    private readonly BodySpool _spool;
    private readonly long _sizeMax;
    private readonly Lock _gate = new();
    private Task<ReadOnlyMemory<byte>>? _fetch;
    private Reader? _current;
    private bool _ended;

    /// <param name="client">The body as it comes from the client.</param>
    /// <param name="store">Where it is kept.</param>
    /// <param name="sizeMax">Bytes past which it is kept no longer.</param>
    public ReplayableBody(BodySource client, IBodyStore store, long sizeMax = long.MaxValue)
    {
        (_client, _sizeMax) = (client, sizeMax);
        _spool = store.Create();
    }

    /// <summary>Why the body is not kept any more: it can then go to no further place. Null while it is.</summary>
    public BodyStoreException? NotKept { get; private set; }

    /// <summary>The body from its start, for the next place; the reader before gets no more.</summary>
    public BodySource NewReader()
    {
        lock (_gate)
        {
            _current?.Abandon();
            return _current = new Reader(this);
        }
    }

    // One read from the client is under way at a time, whichever reader asked for it; what it gives is for the current one.
    private Task<ReadOnlyMemory<byte>> FetchAsync()
    {
        lock (_gate)
        {
            if (_fetch is { IsCompleted: false }) return _fetch;
            return _fetch = FetchCoreAsync();
        }
    }

    private async Task<ReadOnlyMemory<byte>> FetchCoreAsync()
    {
        var piece = await _client.ReadAsync();
        if (piece.IsEmpty)
        {
            _ended = true;
            return piece;
        }

        if (NotKept is not null) return piece;
        try
        {
            if (_spool.Length + piece.Length > _sizeMax) throw new BodyStoreException(BodyStoreError.TooLarge, $"the body has more than {_sizeMax} bytes");
            await _spool.AppendAsync(piece, CancellationToken.None);
        }
        catch (BodyStoreException e)
        {
            NotKept = e;
        }

        return piece;
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate) _current?.Abandon();
        return _spool.DisposeAsync();
    }

    private sealed class Reader(ReplayableBody body) : BodySource
    {
        private byte[] _buffer = [];
        private long _offset;
        private bool _complete;
        private bool _abandoned;

        public override BodyFraming Framing => body._client.Framing;

        public override bool IsComplete => _complete;

        public override bool IsTouched => body.NotKept is not null;

        public override ReadOnlySpan<byte> Trailers => body._client.Trailers;

        public void Abandon() => _abandoned = true;

        public override async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
        {
            if (_abandoned) throw new BodyAbandonedException();
            if (_offset < body._spool.Length) return await ReplayAsync();
            if (body._ended)
            {
                Finish();
                return default;
            }

            var before = body._spool.Length;
            var piece = await body.FetchAsync();
            if (_abandoned) throw new BodyAbandonedException();
            if (piece.IsEmpty) Finish();

            // A fetch that another reader had begun may have been kept while this one still replays.
            if (_offset < before) return await ReplayAsync();
            if (body.NotKept is null) _offset += piece.Length;
            return piece;
        }

        private async ValueTask<ReadOnlyMemory<byte>> ReplayAsync()
        {
            if (_buffer.Length == 0) _buffer = ArrayPool<byte>.Shared.Rent(Bounds.LargeBufferSize);
            var read = await body._spool.ReadAsync(_offset, _buffer, CancellationToken.None);
            if (_abandoned) throw new BodyAbandonedException();
            _offset += read;
            return _buffer.AsMemory(0, read);
        }

        private void Finish()
        {
            _complete = true;
            if (_buffer.Length > 0) ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
    }
}
