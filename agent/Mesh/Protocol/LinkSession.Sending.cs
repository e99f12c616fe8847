using System.Buffers;
using System.Text;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh.Protocol;

/// <content>What goes: one frame at a time on each lane, each with the number that its order gives it.</content>
internal sealed partial class LinkSession
{
    /// <summary>Sends one message to a channel of the peer, which may be lost. Completes when it is on its way.</summary>
    /// <exception cref="IOException">It was not sent; a <see cref="LinkException"/> says that the site is not up.</exception>
    public async ValueTask SendMessageAsync(ulong channel, ReadOnlyMemory<byte> message, uint timeToLiveMs)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(message.Length, Bounds.FramePayloadSizeMax);
        ushort epoch;
        lock (Gate)
        {
            if (_liveness.State != SiteState.Draining) ThrowUnlessUp();
            epoch = _epoch;
        }

        var buffer = ArrayPool<byte>.Shared.Rent(Frame.HeaderSize + message.Length);
        try
        {
            message.CopyTo(buffer.AsMemory(Frame.HeaderSize));
            var frame = new Frame { Kind = FrameKind.Message, Stream = channel, Epoch = epoch, TimeToLiveMs = timeToLiveMs };
            await SendFrameAsync(LinkLane.Control, frame, buffer, message.Length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Takes a turn on the bulk lane; null when it is there at once. Called with the lock held.</summary>
    internal Task<bool>? TakeBulkTurn(int bytes) => _turns.Take(bytes);

    /// <summary>Gives a turn back that is not used. Called with the lock held.</summary>
    internal void ReturnBulkTurn(ushort epoch, int bytes)
    {
        if (epoch == _epoch) _turns.Return(bytes);
    }

    internal void SendReset(ulong stream, ushort epoch, LinkError error, string detail)
    {
        // A peer that provokes resets faster than they can be sent keeps no promise: its streams go.
        lock (Gate)
        {
            if (epoch != _epoch) return;
            if (_resetsQueued >= Bounds.LinkResetsQueuedMax)
            {
                Lose("too many resets wait to be sent");
                return;
            }

            _resetsQueued++;
        }

        Forget(SendResetAsync(stream, epoch, error, detail));
    }

    private async ValueTask SendResetAsync(ulong stream, ushort epoch, LinkError error, string detail)
    {
        try
        {
            var bytes = Encoding.UTF8.GetBytes(detail.Length > Bounds.ResetDetailSizeMax / 4 ? detail[..(Bounds.ResetDetailSizeMax / 4)] : detail);
            var message = new byte[Frame.HeaderSize + 1 + bytes.Length];
            message[Frame.HeaderSize] = (byte)error;
            bytes.CopyTo(message, Frame.HeaderSize + 1);
            await SendFrameAsync(LinkLane.Control, new Frame { Kind = FrameKind.Reset, Stream = stream, Epoch = epoch }, message, 1 + bytes.Length);
        }
        finally
        {
            lock (Gate) _resetsQueued--;
        }
    }

    // One acknowledgement is under way at a time, and says the latest.
    private async ValueTask AcknowledgeAsync()
    {
        while (true)
        {
            Frame frame;
            lock (Gate)
            {
                if (_acknowledgeUpTo == 0)
                {
                    _acknowledging = false;
                    return;
                }

                frame = new Frame { Kind = FrameKind.BulkAcknowledgement, Offset = _acknowledgeUpTo, Epoch = _epoch };
                _acknowledgeUpTo = 0;
            }

            try
            {
                await SendFrameAsync(LinkLane.Control, frame);
            }
            catch (IOException)
            {
                // The next epoch has begun, and with it another count.
            }
        }
    }

    private static async void Forget(ValueTask sending)
    {
        try
        {
            await sending;
        }
        catch (IOException)
        {
            // The link is lost, and that is told where it matters.
        }
    }

    /// <summary>Sends a frame without a payload.</summary>
    /// <exception cref="LinkException">The frame was not sent.</exception>
    internal async ValueTask SendFrameAsync(LinkLane lane, Frame frame)
    {
        var message = ArrayPool<byte>.Shared.Rent(Frame.HeaderSize);
        try
        {
            await SendFrameAsync(lane, frame, message, 0);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>
    /// Sends a frame whose payload stands in <paramref name="message"/> behind room for the header. One that opens a stream
    /// gives it its number.
    /// </summary>
    /// <exception cref="LinkException">The frame was not sent.</exception>
    internal async ValueTask SendFrameAsync(LinkLane lane, Frame frame, byte[] message, int payloadSize, LinkStream? opening = null)
    {
        // One at a time on each lane: the sequence must be the order in which they go.
        var sending = _sending[(int)lane];
        await sending.WaitAsync();
        ushort epoch = 0;
        try
        {
            ulong token;
            lock (Gate)
            {
                if (opening is not null) frame = frame with { Stream = Number(opening, frame.Epoch) };
                Stamp(lane, frame, message, payloadSize);
                epoch = _epoch;
                token = opening is not null ? opening.Id : frame.Kind == FrameKind.Heartbeat ? HeartbeatToken : FrameToken;
            }

            await _transport.SendAsync(lane, message.AsMemory(0, Frame.HeaderSize + payloadSize), token, CancellationToken.None);
        }
        catch (IOException e) when (e is not LinkException)
        {
            // It has its number already: to the peer it is lost. An opening that did not leave was surely not executed.
            var error = opening is not null && e is NotSentException ? LinkError.SiteDown : LinkError.LinkLost;
            var lost = false;
            lock (Gate)
            {
                lost = frame.Kind != FrameKind.Heartbeat && epoch == _epoch;
                opening?.Fail(error, e.Message);
                if (lost) Lose(e.Message);
            }

            if (lost) Changed();
            throw new LinkException(Peer, error, e.Message);
        }
        finally
        {
            sending.Release();
        }
    }

    private ulong Number(LinkStream opening, ushort epoch)
    {
        ThrowUnlessCurrent(epoch);
        opening.OnOpening(_nextStream);
        _unopened.Remove(opening);
        _streams[_nextStream] = opening;
        _nextStream += 2;
        return opening.Id;
    }

    private void ThrowUnlessCurrent(ushort epoch)
    {
        if (epoch != _epoch) throw new LinkException(Peer, LinkError.LinkLost, $"the link to {Peer} was lost meanwhile");
    }

    private void Stamp(LinkLane lane, Frame frame, byte[] message, int payloadSize)
    {
        var now = NowUs;
        var isHeartbeat = frame.Kind == FrameKind.Heartbeat;
        if (!isHeartbeat) ThrowUnlessCurrent(frame.Epoch);
        var sequence = isHeartbeat ? _sent[(int)lane] : ++_sent[(int)lane];
        if (lane == LinkLane.Bulk)
        {
            _turns.Window.OnSent(sequence, payloadSize, now);
            _bulkSent += payloadSize;
        }

        var stamped = frame with
        {
            Epoch = _epoch,
            FromSession = _session,
            ToSession = isHeartbeat ? frame.ToSession : _liveness.PeerSession,
            SentAtMs = (uint)(now / 1000),
            Sequence = sequence,
        };
        stamped.Write(message);
    }
}
