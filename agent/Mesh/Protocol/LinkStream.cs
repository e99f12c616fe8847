using System.Buffers;
using System.Buffers.Binary;
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
    private readonly ushort _epoch;
    private readonly ReceiveBuffer _received;
    private StreamHead? _opening;
    private TaskCompletionSource? _readable;
    private TaskCompletionSource? _writable;
    private long _limitGiven = Bounds.StreamWindowStartSize;
    private long _window = Bounds.StreamWindowStartSize;
    private long _sent;
    private long _limit = Bounds.StreamWindowStartSize;
    private bool _ended;
    private bool _disposed;
    private (LinkError Error, string Detail)? _failure;

    /// <summary>Makes a stream.</summary>
    /// <param name="link">The link.</param>
    /// <param name="id">Its number; 0 for one that is to be opened from here.</param>
    /// <param name="epoch">The link's epoch, with which it ends.</param>
    /// <param name="opening">What opens it at the peer; null when the peer opened it.</param>
    public LinkStream(LinkSession link, ulong id, ushort epoch, StreamHead? opening)
    {
        _link = link;
        _epoch = epoch;
        _opening = opening;
        _received = new ReceiveBuffer(link.Budget);
        Id = id;
    }

    /// <summary>Its number on the link; 0 until the frame that opens it goes, since numbers must go in order.</summary>
    public ulong Id { get; private set; }

    // The opening is on its way to the link: what else there is to send must wait, or it would overtake it.
    private bool IsOpening => _opening is null && Id == 0;

    private bool IsOver => _ended && _received.IsFinished;

    // ---- receiving --------------------------------------------------------------------------------------------

    public override async ValueTask<int> ReceiveAsync(Memory<byte> buffer)
    {
        if (_opening is not null) await SendAsync(ReadOnlyMemory<byte>.Empty);
        while (true)
        {
            Task? wait = null;
            long credit = 0;
            var count = 0;
            lock (_link.Gate)
            {
                if (_received.Readable > 0)
                {
                    if (buffer.Length == 0) return 0;
                    count = _received.Read(buffer.Span);
                    if (IsOver) _link.Forget(this);
                    credit = CreditDue();
                }
                else
                {
                    Throw();
                    if (_received.IsFinished) return 0;
                    wait = (_readable ??= NewSignal()).Task;
                }
            }

            if (wait is null)
            {
                if (credit > 0) await GiveCreditAsync(credit);
                return count;
            }

            await wait;
        }
    }

    private async ValueTask GiveCreditAsync(long limit)
    {
        try
        {
            await _link.SendFrameAsync(LinkLane.Control, new Frame { Kind = FrameKind.Credit, Stream = Id, Epoch = _epoch, Offset = (ulong)limit });
        }
        catch (IOException)
        {
            // The link is lost and the stream with it; what was read is read, and the next call tells.
        }
    }

    // A reader that has taken everything is faster than the window lets the sender be: the window doubles while the
    // site's budget lasts. Called with the lock held.
    private long CreditDue()
    {
        if (_received.IsEnded || _failure is not null) return 0;
        if (_received.Readable == 0 && _window < Bounds.StreamWindowSizeMax && _link.Budget.TryGrow(_window)) _window *= 2;
        var limit = _received.Consumed + _window;
        if (limit - _limitGiven < _window / 2) return 0;
        _limitGiven = limit;
        return limit;
    }

    /// <summary>Takes a piece from the peer. Called with the lock held.</summary>
    public PieceVerdict OnData(LinkLane lane, long offset, ReadOnlySpan<byte> piece, bool end)
    {
        if (_disposed || _failure is not null) return PieceVerdict.Taken;
        var verdict = _received.Add(lane, offset, piece, end, _limitGiven);
        if (IsOver) _link.Forget(this);
        Signal(ref _readable);
        return verdict;
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    public override async ValueTask SendAsync(ReadOnlyMemory<byte> data)
    {
        do
        {
            var (offset, count, lane, opening) = await ReserveAsync(data.Length);
            if (count > 0 || opening is not null)
            {
                var frame = new Frame
                {
                    Kind = opening is null ? FrameKind.Data : FrameKind.Open,
                    Stream = Id,
                    Epoch = _epoch,
                    Offset = (ulong)offset,
                    TimeToLiveMs = Bounds.OpenTimeMaxMs,
                };
                await SendPieceAsync(frame, lane, opening, data[..count]);
            }

            data = data[count..];
        }
        while (data.Length > 0);
    }

    public override async ValueTask EndSendAsync()
    {
        if (_opening is not null) await SendAsync(ReadOnlyMemory<byte>.Empty);
        while (true)
        {
            Task wait;
            lock (_link.Gate)
            {
                Throw();
                if (_ended) return;
                if (!IsOpening)
                {
                    _ended = true;
                    if (IsOver) _link.Forget(this);
                    break;
                }

                wait = (_writable ??= NewSignal()).Task;
            }

            await wait;
        }

        // At the border the end goes with the bytes before it: on the control lane.
        var lane = _sent <= Bounds.StreamControlSizeMax ? LinkLane.Control : LinkLane.Bulk;
        var frame = new Frame { Kind = FrameKind.Data, Flags = FrameFlags.End, Stream = Id, Epoch = _epoch, Offset = (ulong)_sent };
        await _link.SendFrameAsync(lane, frame);
    }

    // Waits for the stream's window, and for a turn on the bulk lane.
    private async ValueTask<(long Offset, int Count, LinkLane Lane, StreamHead? Opening)> ReserveAsync(int wanted)
    {
        while (true)
        {
            Task wait;
            Task<bool>? turn = null;
            var count = 0;
            lock (_link.Gate)
            {
                Throw();
                if (_ended) throw new IOException("the stream's sending direction has ended");
                count = IsOpening ? 0 : (int)Math.Min(Math.Min(wanted, _limit - _sent), Bounds.StreamChunkSizeMax);
                if (_sent < Bounds.StreamControlSizeMax)
                {
                    count = (int)Math.Min(count, Bounds.StreamControlSizeMax - _sent);
                    if (count > 0 || wanted == 0) return Reserved(count, LinkLane.Control);
                }
                else if (wanted == 0)
                {
                    return Reserved(0, LinkLane.Control);
                }
                else if (count > 0)
                {
                    turn = _link.TakeBulkTurn(count);
                    if (turn is null) return Reserved(count, LinkLane.Bulk);
                }

                wait = turn ?? (_writable ??= NewSignal()).Task;
            }

            await wait;
            if (turn is null || !await turn) continue;
            lock (_link.Gate)
            {
                if (_failure is null) return Reserved(count, LinkLane.Bulk);
                _link.ReturnBulkTurn(_epoch, count);
            }
        }
    }

    private (long Offset, int Count, LinkLane Lane, StreamHead? Opening) Reserved(int count, LinkLane lane)
    {
        var offset = _sent;
        _sent += count;
        var opening = _opening;
        _opening = null;
        return (offset, count, lane, opening);
    }

    private async ValueTask SendPieceAsync(Frame frame, LinkLane lane, StreamHead? opening, ReadOnlyMemory<byte> piece)
    {
        var head = opening?.Encode() ?? default;
        var size = head.IsEmpty ? piece.Length : 4 + head.Length + piece.Length;
        var message = ArrayPool<byte>.Shared.Rent(Frame.HeaderSize + size);
        try
        {
            var at = Frame.HeaderSize;
            if (!head.IsEmpty)
            {
                BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(at), head.Length);
                head.CopyTo(message.AsMemory(at + 4));
                at += 4 + head.Length;
            }

            piece.CopyTo(message.AsMemory(at));
            await _link.SendFrameAsync(lane, frame, message, size, opening is null ? null : this);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>The frame that opens it has its number and goes now. Called with the lock held.</summary>
    /// <exception cref="LinkException">The stream has failed meanwhile.</exception>
    public void OnOpening(ulong id)
    {
        Throw();
        Id = id;
        Signal(ref _writable);
    }

    /// <summary>The peer lets us send up to an offset. Called with the lock held.</summary>
    public void OnCredit(long limit)
    {
        if (limit <= _limit) return;
        _limit = limit;
        Signal(ref _writable);
    }

    // ---- ending -----------------------------------------------------------------------------------------------

    /// <summary>Fails both directions; what was received can still be read. Called with the lock held.</summary>
    public void Fail(LinkError error, string detail)
    {
        _failure ??= (error, detail);
        Signal(ref _readable);
        Signal(ref _writable);
        _link.Forget(this);
    }

    private void Throw()
    {
        if (_failure is { } failure) throw new LinkException(_link.Peer, failure.Error, failure.Detail);
    }

    public override void Abort()
    {
        bool tell;
        lock (_link.Gate)
        {
            tell = _failure is null && !IsOver && Id != 0;
            if (!IsOver) Fail(LinkError.Reset, "the stream was aborted here");
            _received.Clear();
        }

        if (tell) _link.SendReset(Id, _epoch, LinkError.Reset, "the other side aborted the stream");
    }

    protected override void Dispose(bool disposing)
    {
        // Whoever still sends to us learns that nobody reads any more, as with a socket.
        Abort();
        lock (_link.Gate)
        {
            if (_disposed) return;
            _disposed = true;
            _link.Budget.Shrink(_window - Bounds.StreamWindowStartSize);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static void Signal(ref TaskCompletionSource? signal)
    {
        signal?.TrySetResult();
        signal = null;
    }
}
