using System.Buffers;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>
/// One stream over a link, as the transport of a channel. All its state is guarded by the link's lock; what it waits
/// for is signalled.
/// </summary>
internal sealed class LinkStream : ByteTransport
{
    private readonly LinkSession _link;
    private readonly Dictionary<long, ArraySegment<byte>> _ahead = [];
    private readonly Queue<ArraySegment<byte>> _received = new();
    private StreamHead? _opening;
    private TaskCompletionSource? _readable;
    private TaskCompletionSource? _writable;
    private int _takenOfFirst;
    private long _receivedUpTo;
    private long _consumed;
    private long _limitGiven = Bounds.StreamWindowStartSize;
    private long _window = Bounds.StreamWindowStartSize;
    private long _peerEnd = -1;
    private long _sent;
    private long _limit = Bounds.StreamWindowStartSize;
    private bool _ended;
    private bool _disposed;
    private LinkException? _error;

    public LinkStream(LinkSession link, ulong id, StreamHead? opening)
    {
        _link = link;
        Id = id;
        _opening = opening;
    }

    public ulong Id { get; }

    /// <summary>Whether the peer knows of it, so that it must be told of a reset.</summary>
    public bool IsOpened => _opening is null;

    private bool IsOver => _ended && _peerEnd >= 0 && _consumed == _peerEnd;

    // ---- receiving --------------------------------------------------------------------------------------------

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        await OpenAsync();
        while (true)
        {
            Task wait;
            long credit;
            var count = 0;
            lock (_link.Gate)
            {
                if (_received.Count > 0)
                {
                    if (buffer.Length == 0) return 0;
                    count = Take(buffer.Span);
                    credit = CreditDue();
                    wait = Task.CompletedTask;
                }
                else
                {
                    if (_error is not null) throw new LinkException(_link.Peer, _error.Error, _error.Message);
                    if (_peerEnd == _receivedUpTo) return 0;
                    credit = 0;
                    wait = (_readable ??= NewSignal()).Task;
                }
            }

            if (count > 0)
            {
                if (credit > 0) await _link.SendFrameAsync(LinkLane.Control, new Frame { Kind = FrameKind.Credit, Stream = Id, Offset = (ulong)credit });
                return count;
            }

            await wait;
        }
    }

    private int Take(Span<byte> to)
    {
        var total = 0;
        while (total < to.Length && _received.TryPeek(out var first))
        {
            var rest = first.AsSpan(_takenOfFirst);
            var count = Math.Min(rest.Length, to.Length - total);
            rest[..count].CopyTo(to[total..]);
            total += count;
            _takenOfFirst += count;
            if (_takenOfFirst < first.Count) break;
            _received.Dequeue();
            _takenOfFirst = 0;
            ArrayPool<byte>.Shared.Return(first.Array!);
        }

        _consumed += total;
        if (IsOver) _link.Forget(this);
        return total;
    }

    // A reader that has taken everything is faster than the window lets the sender be: the window doubles while the
    // site's budget lasts. Called with the lock held.
    private long CreditDue()
    {
        if (_peerEnd >= 0 || _error is not null) return 0;
        if (_received.Count == 0 && _window < Bounds.StreamWindowSizeMax && _link.Budget.TryTake(_window)) _window *= 2;
        var limit = _consumed + _window;
        if (limit - _limitGiven < _window / 2) return 0;
        _limitGiven = limit;
        return limit;
    }

    /// <summary>Takes a piece from the peer. Called with the lock held.</summary>
    /// <returns>False when the piece breaks the window or contradicts what came before.</returns>
    public bool OnData(long offset, ReadOnlySpan<byte> piece, bool end)
    {
        var upTo = offset + piece.Length;
        if (offset < 0 || upTo > _limitGiven || (_peerEnd >= 0 && upTo > _peerEnd)) return false;
        if (end)
        {
            if (_peerEnd >= 0 && _peerEnd != upTo) return false;
            _peerEnd = upTo;
        }

        if (_disposed || _error is not null) return true;
        if (piece.Length > 0 && offset >= _receivedUpTo && !_ahead.ContainsKey(offset))
        {
            var copy = ArrayPool<byte>.Shared.Rent(piece.Length);
            piece.CopyTo(copy);
            _ahead[offset] = new ArraySegment<byte>(copy, 0, piece.Length);
        }

        // The two lanes overtake each other: pieces wait until what is before them is there.
        var moved = end;
        while (_ahead.Remove(_receivedUpTo, out var next))
        {
            _received.Enqueue(next);
            _receivedUpTo += next.Count;
            moved = true;
        }

        if (moved) Signal(ref _readable);
        return true;
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    private ValueTask OpenAsync() => _opening is null ? default : SendAsync(ReadOnlyMemory<byte>.Empty);

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        do
        {
            var (offset, count, lane, opening) = await ReserveAsync(data.Length, mayBeEmpty: data.Length == 0);
            var frame = new Frame
            {
                Kind = opening is null ? FrameKind.Data : FrameKind.Open,
                Stream = Id,
                Offset = (ulong)offset,
                TimeToLiveMs = Bounds.OpenTimeMaxMs,
            };
            if (count > 0 || opening is not null) await SendPieceAsync(frame, lane, opening, data[..count]);
            data = data[count..];
        }
        while (data.Length > 0);
    }

    public override async ValueTask EndSendAsync()
    {
        await OpenAsync();
        long offset;
        LinkLane lane;
        lock (_link.Gate)
        {
            Throw();
            if (_ended) return;
            _ended = true;
            offset = _sent;
            lane = LaneAt(offset);
            if (IsOver) _link.Forget(this);
        }

        await _link.SendFrameAsync(lane, new Frame { Kind = FrameKind.Data, Flags = FrameFlags.End, Stream = Id, Offset = (ulong)offset });
    }

    private static LinkLane LaneAt(long offset) => offset < Bounds.StreamControlSizeMax ? LinkLane.Control : LinkLane.Bulk;

    // Waits for the stream's window, and for the link's on the bulk lane, where streams take turns chunk by chunk.
    private async ValueTask<(long Offset, int Count, LinkLane Lane, StreamHead? Opening)> ReserveAsync(int wanted, bool mayBeEmpty)
    {
        while (true)
        {
            Task wait;
            lock (_link.Gate)
            {
                Throw();
                if (_ended) throw new IOException("the stream's sending direction has ended");
                var lane = LaneAt(_sent);
                var count = (int)Math.Min(Math.Min(wanted, _limit - _sent), Bounds.StreamChunkSizeMax);
                if (lane == LinkLane.Control) count = (int)Math.Min(count, Bounds.StreamControlSizeMax - _sent);
                if (count > 0 || mayBeEmpty)
                {
                    if (lane == LinkLane.Control || _link.TryReserveBulk(ref count, out wait!))
                    {
                        var offset = _sent;
                        _sent += count;
                        var opening = _opening;
                        _opening = null;
                        return (offset, count, lane, opening);
                    }
                }
                else
                {
                    wait = (_writable ??= NewSignal()).Task;
                }
            }

            await wait;
        }
    }

    private async ValueTask SendPieceAsync(Frame frame, LinkLane lane, StreamHead? opening, ReadOnlyMemory<byte> piece)
    {
        var head = opening?.Encode() ?? default;
        var size = head.IsEmpty ? piece.Length : 4 + head.Length + piece.Length;
        var payload = ArrayPool<byte>.Shared.Rent(Frame.HeaderSize + size);
        try
        {
            var at = Frame.HeaderSize;
            if (!head.IsEmpty)
            {
                System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(at), head.Length);
                head.Span.CopyTo(payload.AsSpan(at + 4));
                at += 4 + head.Length;
            }

            piece.Span.CopyTo(payload.AsSpan(at));
            await _link.SendFrameAsync(lane, frame, payload, size, opening is null ? 0 : Id);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(payload);
        }
    }

    /// <summary>The peer lets us send up to an offset. Called with the lock held.</summary>
    public void OnCredit(long limit)
    {
        if (limit <= _limit) return;
        _limit = limit;
        Signal(ref _writable);
    }

    // ---- ending -----------------------------------------------------------------------------------------------

    /// <summary>Fails both directions. Called with the lock held.</summary>
    public void Fail(LinkException error)
    {
        _error ??= error;
        Signal(ref _readable);
        Signal(ref _writable);
        _link.Forget(this);
    }

    private void Throw()
    {
        if (_error is not null) throw new LinkException(_link.Peer, _error.Error, _error.Message);
    }

    public override void Abort()
    {
        bool tell;
        lock (_link.Gate)
        {
            tell = _error is null && !IsOver && IsOpened;
            Fail(new LinkException(_link.Peer, LinkError.Reset, "the stream was aborted here"));
        }

        if (tell) _link.SendReset(Id, LinkError.Reset, "the other side aborted the stream");
    }

    protected override void Dispose(bool disposing)
    {
        lock (_link.Gate)
        {
            if (_disposed) return;
            _disposed = true;
            foreach (var piece in _received) ArrayPool<byte>.Shared.Return(piece.Array!);
            foreach (var piece in _ahead.Values) ArrayPool<byte>.Shared.Return(piece.Array!);
            _received.Clear();
            _ahead.Clear();
            _link.Budget.Return(_window - Bounds.StreamWindowStartSize);
            _window = Bounds.StreamWindowStartSize;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static void Signal(ref TaskCompletionSource? signal)
    {
        signal?.TrySetResult();
        signal = null;
    }
}
