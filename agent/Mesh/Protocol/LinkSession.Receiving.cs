using System.Buffers.Binary;
using System.Text;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh.Protocol;

/// <content>What arrives. Nothing a peer sends is believed beyond its own link, and every answer it provokes is bounded.</content>
internal sealed partial class LinkSession
{
    private void Receive(LinkLane lane, ReadOnlyMemory<byte> message)
    {
        if (_ended) return;
        var status = Frame.Read(message.Span, out var frame, out var payload);
        if (status == FrameStatus.NewerMajor)
        {
            Refuse(message.Span[1]);
            return;
        }

        if (status is FrameStatus.Malformed || frame.FromSession == 0) return;
        if (frame.Kind == FrameKind.Heartbeat)
        {
            if (lane == LinkLane.Control) OnHeartbeat(frame, payload);
            return;
        }

        OnFrame(lane, frame, payload);
    }

    private void Refuse(byte major)
    {
        lock (Gate)
        {
            if (_liveness.State == SiteState.Incompatible) return;
            _liveness.OnIncompatible(major);
            Lose("the peer speaks another version");
        }

        if (!_warnedVersion) _owner.Warn($"{Peer} is refused: {_liveness.Reason}");
        _warnedVersion = true;
        _owner.OnChanged(this);
    }

    private void OnUndeliverable(ulong token)
    {
        var beat = false;
        lock (Gate)
        {
            var wasUp = _liveness.IsUp;
            if (token == HeartbeatToken)
            {
                if (_liveness.OnNobody() != LivenessChange.WentDown) return;
            }
            else
            {
                // An opening that nobody received: surely nothing was executed. The next heartbeat tells of the site itself.
                if (_streams.TryGetValue(token, out var stream)) stream.Fail(LinkError.SiteDown, $"{Peer} is not there: nobody received the request");
                beat = wasUp;
            }

            if (wasUp) Lose("its agent, or the link to it, is not there");
        }

        if (beat) SendBeat();
        _owner.OnChanged(this);
    }

    private void OnHeartbeat(in Frame frame, ReadOnlySpan<byte> payload)
    {
        if (HeartbeatStatus.Decode(payload) is not { } status) return;
        LivenessChange change;
        bool answer;
        lock (Gate)
        {
            var now = NowUs;
            change = _liveness.OnHeartbeat(frame, status, now);
            if (change == LivenessChange.Ignored) return;
            PeerStatus = status;
            _transport.PeerSharesBulk = status.SharesBulk;
            var epochBefore = _epoch;
            if (change == LivenessChange.Renewed)
            {
                _lastPeerStream = 0;
                BeginEpoch((ushort)(frame.Epoch + 1), "the peer's agent was started anew");
            }
            else if (change == LivenessChange.WentDown)
            {
                Lose(_liveness.Reason);
            }

            if (frame.ToSession == _session) FollowEpoch(frame);
            if (frame.ToSession == _session && frame.Epoch == _epoch && frame.Sequence > _received[(int)LinkLane.Control]) Lose("messages were lost");
            answer = _liveness.ShouldAnswer(change) || (_epoch != epochBefore && _epoch != frame.Epoch);
        }

        if (answer) SendBeat();
        _owner.OnChanged(this);
    }

    // Both ends take the later of their epochs.
    private void FollowEpoch(in Frame frame)
    {
        if ((short)(frame.Epoch - _epoch) > 0) BeginEpoch(frame.Epoch, "messages were lost");
    }

    private void OnFrame(LinkLane lane, in Frame frame, ReadOnlySpan<byte> payload)
    {
        var lost = false;
        var acknowledge = false;
        (StreamHead Head, LinkStream Stream)? opened = null;
        (LinkError Error, string Detail)? refusal = null;
        var message = false;
        lock (Gate)
        {
            if (frame.FromSession != _liveness.PeerSession || frame.ToSession != _session) return;
            FollowEpoch(frame);
            if (frame.Epoch != _epoch) return;
            ref var received = ref _received[(int)lane];
            if (frame.Sequence <= received) return;
            lost = frame.Sequence > received + 1;
            if (lost)
            {
                Lose("messages were lost");
            }
            else
            {
                received = frame.Sequence;
                if (lane == LinkLane.Bulk) acknowledge = OnBulk(frame.Sequence, payload.Length);
                var lateMs = _liveness.LatenessMs(frame.SentAtMs, NowUs);
                if (frame.Kind == FrameKind.Message) message = lateMs <= frame.TimeToLiveMs;
                else if (frame.Kind == FrameKind.Open) opened = OnOpen(lane, frame, payload, lateMs, out refusal);
                else refusal = OnStreamFrame(lane, frame, payload);
            }
        }

        if (lost) Changed();
        if (acknowledge) Forget(AcknowledgeAsync());
        if (refusal is { } no) SendReset(frame.Stream, frame.Epoch, no.Error, no.Detail);
        if (message) _owner.OnMessage(this, frame.Stream, payload);
        if (opened is { } open) _owner.OnStream(this, open.Head, new BufferedChannel(open.Stream));
    }

    private bool OnBulk(ulong sequence, int bytes)
    {
        _bulkReceived += bytes;
        _acknowledgeUpTo = sequence;
        if (_acknowledging) return false;
        return _acknowledging = true;
    }

    private (LinkError, string)? OnStreamFrame(LinkLane lane, in Frame frame, ReadOnlySpan<byte> payload)
    {
        if (frame.Kind == FrameKind.BulkAcknowledgement)
        {
            _turns.OnAcknowledged(frame.Offset, NowUs);
            return null;
        }

        var known = _streams.TryGetValue(frame.Stream, out var stream);
        var offset = (long)Math.Min(frame.Offset, long.MaxValue / 2);
        switch (frame.Kind)
        {
            case FrameKind.Credit when known:
                stream!.OnCredit(offset);
                return null;
            case FrameKind.Reset when known:
                var (error, detail) = ReadReset(payload);
                stream!.Fail(error, detail);
                return null;
            case FrameKind.Data when known:
                return Explain(stream!.OnData(lane, offset, payload, frame.Flags.HasFlag(FrameFlags.End)), stream);
            case FrameKind.Data when payload.Length > 0 && IsPlausible(frame.Stream):
                return (LinkError.Reset, "no such stream");
            default:
                return null;
        }
    }

    private bool IsPlausible(ulong stream) => stream > 0 && (IsPeers(stream) ? stream <= _lastPeerStream : stream < _nextStream);

    private bool IsPeers(ulong stream) => (stream % 2 == 1) != _opensOdd;

    private (LinkError, string)? Explain(PieceVerdict verdict, LinkStream stream)
    {
        switch (verdict)
        {
            case PieceVerdict.Breach:
                stream.Fail(LinkError.Reset, $"{Peer} broke the stream's window or order");
                return (LinkError.Reset, "a piece broke the stream's window or order");
            case PieceVerdict.Full:
                stream.Fail(LinkError.Reset, "this site holds all the bytes it may hold for readers");
                return (LinkError.Reset, "the site holds all the bytes it may hold for readers");
            default:
                return null;
        }
    }

    private (StreamHead, LinkStream)? OnOpen(LinkLane lane, in Frame frame, ReadOnlySpan<byte> payload, long lateMs, out (LinkError, string)? refusal)
    {
        refusal = null;
        if (lane != LinkLane.Control || !IsPeers(frame.Stream) || frame.Stream <= _lastPeerStream) return null;
        _lastPeerStream = frame.Stream;
        refusal = lateMs > frame.TimeToLiveMs ? (LinkError.Late, $"the request arrived {lateMs} ms late, and was dropped")
            : _streams.Count >= Bounds.LinkStreamsMax ? (LinkError.TooManyStreams, $"{Bounds.LinkStreamsMax} streams are open")
            : Budget.Held > Bounds.LinkReceivedHeldMax / 2 ? (LinkError.TooManyStreams, "too many received bytes wait to be read")
            : _owner.IsDraining ? (LinkError.Draining, "the site is draining")
            : null;
        if (refusal is not null) return null;
        var length = payload.Length >= 4 ? BinaryPrimitives.ReadInt32LittleEndian(payload) : -1;
        if (length < 0 || length > payload.Length - 4 || StreamHead.Decode(payload.Slice(4, length)) is not { } head)
        {
            refusal = (LinkError.ServiceRefused, "the opening is malformed");
            return null;
        }

        var stream = new LinkStream(this, frame.Stream, _epoch, opening: null);
        _streams[frame.Stream] = stream;
        refusal = Explain(stream.OnData(lane, 0, payload[(4 + length)..], frame.Flags.HasFlag(FrameFlags.End)), stream);
        return refusal is null ? (head, stream) : null;
    }

    private (LinkError, string) ReadReset(ReadOnlySpan<byte> payload)
    {
        var error = payload.Length > 0 && payload[0] <= (byte)LinkError.LinkLost ? (LinkError)payload[0] : LinkError.Reset;
        var detail = payload.Length > 1 ? Encoding.UTF8.GetString(payload[1..Math.Min(payload.Length, Bounds.ResetDetailSizeMax)]) : "no reason given";
        return (error, $"{Peer}: {Printable(detail)}");
    }

    // It goes into logs and answers: control characters would forge lines there.
    private static string Printable(string text) => string.Create(text.Length, text, static (to, from) =>
    {
        for (var i = 0; i < to.Length; i++) to[i] = char.IsControl(from[i]) ? ' ' : from[i];
    });
}
