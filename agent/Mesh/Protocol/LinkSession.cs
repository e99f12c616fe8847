using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Cheops.Agent.Transport;
using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>What a link asks of, and tells, the mesh it belongs to.</summary>
internal interface ILinkOwner
{
    /// <summary>What this site's heartbeats say, without the echo.</summary>
    HeartbeatStatus Status { get; }

    /// <summary>Whether this site takes no new requests.</summary>
    bool IsDraining { get; }

    /// <summary>A link's state has changed.</summary>
    void OnChanged(LinkSession link);

    /// <summary>The peer opened a stream; <paramref name="channel"/> is the owner's now.</summary>
    void OnStream(LinkSession link, StreamHead head, Channel channel);

    /// <summary>Something that a person should know of, once per change.</summary>
    void Warn(string message);
}

/// <summary>
/// This agent's end of the link to one other site: liveness by heartbeats, and streams. Reads no clock and no chance of
/// its own and starts no thread: the owner calls <see cref="Beat"/>, the transport delivers.
/// </summary>
/// <remarks>LAYOUT.md in proto/Links describes the frames. Everything here is guarded by <see cref="Gate"/>; nothing is awaited in it.</remarks>
internal sealed class LinkSession
{
    private readonly ILinkTransport _transport;
    private readonly ILinkOwner _owner;
    private readonly TimeProvider _time;
    private readonly long _startedAt;
    private readonly uint _session;
    private readonly bool _opensOdd;
    private readonly Dictionary<ulong, LinkStream> _streams = [];
    private readonly Queue<TaskCompletionSource> _bulkWaiters = new();
    private readonly PeerClock _peerClock = new();
    private BulkWindow _bulk = new();
    private uint _peerSession;
    private ulong _nextStream;
    private ulong _lastPeerStream;
    private long _bulkSent;
    private long _bulkReceived;
    private readonly ulong[] _sent = new ulong[2];
    private readonly ulong[] _received = new ulong[2];
    private readonly SemaphoreSlim[] _sending = [new(1), new(1)];
    private long _losses;
    private long _peerLosses;
    private bool _heardFromPeer;
    private ulong _beat;
    private readonly long[] _beatSentUs = new long[64];
    private ulong _peerBeat;
    private long _peerBeatUs;
    private long _heardUs = -1;
    private long _echoedUs = -1;
    private long _roundTripUs = -1;
    private long _roundTripAtUs;
    private bool _warnedVersion;

    public LinkSession(string self, string peer, uint session, ILinkTransport transport, ILinkOwner owner, WindowBudget budget, TimeProvider time)
    {
        Peer = peer;
        _session = session;
        _transport = transport;
        _owner = owner;
        _time = time;
        _startedAt = time.GetTimestamp();
        _opensOdd = string.CompareOrdinal(self, peer) < 0;
        _nextStream = _opensOdd ? 1UL : 2UL;
        Budget = budget;
    }

    /// <summary>Guards the link and all its streams.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The site at the other end.</summary>
    public string Peer { get; }

    /// <summary>Shared by all links.</summary>
    public WindowBudget Budget { get; }

    /// <summary>The link's state.</summary>
    public SiteState State { get; private set; }

    /// <summary>Why, in words for a person.</summary>
    public string Reason { get; private set; } = "not heard from yet";

    /// <summary>What the peer's last heartbeat said.</summary>
    public HeartbeatStatus PeerStatus { get; private set; } = new();

    /// <summary>When the peer was last heard from; null for never.</summary>
    public DateTimeOffset? HeardAt => InstantOf(_heardUs);

    /// <summary>Smoothed round-trip time; null when not measured.</summary>
    public TimeSpan? RoundTrip => _roundTripUs < 0 ? null : TimeSpan.FromMicroseconds(_roundTripUs);

    /// <summary>When it was measured.</summary>
    public DateTimeOffset? RoundTripAt => _roundTripUs < 0 ? null : InstantOf(_roundTripAtUs);

    /// <summary>Streams open.</summary>
    public int StreamCount
    {
        get
        {
            lock (Gate) return _streams.Count;
        }
    }

    /// <summary>Bytes sent and received on the bulk lane in this session.</summary>
    public (long Sent, long Received, long Window) Bulk
    {
        get
        {
            lock (Gate) return (_bulkSent, _bulkReceived, _bulk.Size);
        }
    }

    private long NowUs => (long)_time.GetElapsedTime(_startedAt).TotalMicroseconds;

    private DateTimeOffset? InstantOf(long us) => us < 0 ? null : _time.GetUtcNow() - TimeSpan.FromMicroseconds(NowUs - us);

    /// <summary>Begins to receive, and says hello.</summary>
    public void Start()
    {
        _transport.Start(Receive, OnUndeliverable);
        Beat();
    }

    // ---- liveness ---------------------------------------------------------------------------------------------

    /// <summary>Sends a heartbeat, and looks whether the peer's have stayed away. Called every <see cref="Bounds.HeartbeatMs"/>.</summary>
    public void Beat()
    {
        Judge();
        HeartbeatStatus status;
        ulong beat;
        lock (Gate)
        {
            var now = NowUs;
            beat = ++_beat;
            _beatSentUs[beat % (ulong)_beatSentUs.Length] = now;
            status = _owner.Status with { Losses = _losses, Echo = _peerBeat, HeldMicroseconds = _peerBeat == 0 ? 0 : (ulong)(now - _peerBeatUs) };
        }

        var payload = status.Encode();
        var message = new byte[Frame.HeaderSize + payload.Length];
        payload.Span.CopyTo(message.AsSpan(Frame.HeaderSize));
        Forget(SendFrameAsync(
            LinkLane.Control,
            new Frame { Kind = FrameKind.Heartbeat, Offset = beat, TimeToLiveMs = Bounds.HeartbeatMs * Bounds.HeartbeatsMissedMax },
            message,
            payload.Length,
            HeartbeatToken));
    }

    private const ulong HeartbeatToken = ulong.MaxValue;

    private static async void Forget(ValueTask sending)
    {
        try
        {
            await sending;
        }
        catch (IOException)
        {
            // The heartbeats that stay away tell.
        }
    }

    private void Judge()
    {
        const long SilenceMaxUs = Bounds.HeartbeatMs * Bounds.HeartbeatsMissedMax * 1000L;
        lock (Gate)
        {
            if (State is not (SiteState.Up or SiteState.Draining)) return;
            var now = NowUs;
            if (now - _heardUs > SilenceMaxUs) Down($"nothing heard for {(now - _heardUs) / 1_000_000.0:0.0} s");
            else if (now - _echoedUs > SilenceMaxUs + Bounds.HeartbeatMs * 1000L) Down("it does not hear this site: the link is cut in one direction");
            else return;
        }

        _owner.OnChanged(this);
    }

    private void Down(string reason)
    {
        State = SiteState.Down;
        Reason = reason;
        FailAll(LinkError.LinkLost, $"the link to {Peer} was lost: {reason}");
    }

    private void FailAll(LinkError error, string detail)
    {
        _losses++;
        _bulk = new BulkWindow();
        foreach (var stream in _streams.Values.ToArray()) stream.Fail(new LinkException(Peer, error, detail));
        while (_bulkWaiters.TryDequeue(out var waiter)) waiter.TrySetResult();
    }

    private void OnUndeliverable(ulong token)
    {
        lock (Gate)
        {
            if (token != HeartbeatToken)
            {
                if (_streams.TryGetValue(token, out var stream))
                    stream.Fail(new LinkException(Peer, LinkError.SiteDown, $"{Peer} is not there: nobody received the request"));
                return;
            }

            if (State == SiteState.Down) return;
            Down("its agent, or the link to it, is not there");
        }

        _owner.OnChanged(this);
    }

    private void OnHeartbeat(in Frame frame, ReadOnlySpan<byte> payload)
    {
        if (HeartbeatStatus.Decode(payload) is not { } status) return;
        bool answer;
        lock (Gate)
        {
            var now = NowUs;
            if (frame.FromSession != _peerSession)
            {
                Renew(frame.FromSession);
            }
            else if (frame.Offset <= _peerBeat || _peerClock.LatenessMs(frame.SentAtMs, now) > frame.TimeToLiveMs)
            {
                // Late or doubled: no sign that the peer is there now.
                return;
            }

            _peerBeat = frame.Offset;
            _peerBeatUs = now;
            _heardUs = now;
            if (frame.ToSession == _session && status.Echo > 0 && status.Echo <= _beat && _beat - status.Echo < (ulong)_beatSentUs.Length)
                OnEcho(now, _beatSentUs[status.Echo % (ulong)_beatSentUs.Length], status.HeldMicroseconds);
            else if (_echoedUs < 0) _echoedUs = now;

            if (status.Losses != _peerLosses && _heardFromPeer) FailAll(LinkError.LinkLost, $"{Peer} lost the link");
            _peerLosses = status.Losses;
            _heardFromPeer = true;
            answer = State is not (SiteState.Up or SiteState.Draining);
            PeerStatus = status;
            State = status.Draining ? SiteState.Draining : SiteState.Up;
            Reason = status.Draining ? "it is draining" : "";
        }

        // A peer that has just come learns at once that it is heard.
        if (answer) Beat();
        _owner.OnChanged(this);
    }

    private void OnEcho(long now, long sentUs, ulong heldUs)
    {
        var sample = now - sentUs - (long)Math.Min(heldUs, int.MaxValue);
        _echoedUs = Math.Max(_echoedUs, sentUs);
        if (sample < 0) return;

        // RFC 6298's smoothing: an eighth of each new sample.
        _roundTripUs = _roundTripUs < 0 ? sample : (_roundTripUs * 7 + sample) / 8;
        _roundTripAtUs = now;
    }

    // The peer's process is another than before: what was open there is gone.
    private void Renew(uint session)
    {
        if (_peerSession != 0) FailAll(LinkError.LinkLost, $"the agent at {Peer} was started anew");
        _peerSession = session;
        _lastPeerStream = 0;
        _peerBeat = 0;
        _heardFromPeer = false;
        Array.Clear(_sent);
        Array.Clear(_received);
        _bulk = new BulkWindow();
        _peerClock.Reset();
        _echoedUs = NowUs;
    }

    // ---- receiving --------------------------------------------------------------------------------------------

    private void Receive(LinkLane lane, ReadOnlyMemory<byte> message)
    {
        var status = Frame.Read(message.Span, out var frame, out var payload);
        if (status == FrameStatus.NewerMajor)
        {
            Refuse(message.Span[1]);
            return;
        }

        if (status != FrameStatus.Understood || frame.FromSession == 0) return;
        if (frame.Kind == FrameKind.Heartbeat)
        {
            if (lane == LinkLane.Control) OnHeartbeat(frame, payload);
            return;
        }

        ulong acknowledge = 0;
        var lost = false;
        (StreamHead Head, LinkStream Stream)? opened = null;
        (ulong Stream, LinkError Error, string Detail)? refusal = null;
        lock (Gate)
        {
            if (frame.FromSession != _peerSession || frame.ToSession != _session) return;
            ref var received = ref _received[(int)lane];
            if (frame.Sequence <= received) return;
            lost = frame.Sequence > received + 1;
            received = frame.Sequence;
            if (lost) FailAll(LinkError.LinkLost, $"messages on the link to {Peer} were lost");
            var lateMs = _peerClock.LatenessMs(frame.SentAtMs, NowUs);
            if (lane == LinkLane.Bulk)
            {
                _bulkReceived += payload.Length;
                acknowledge = frame.Sequence;
            }

            var offset = (long)Math.Min(frame.Offset, long.MaxValue / 2);
            switch (frame.Kind)
            {
                case FrameKind.Open:
                    opened = Open(frame, payload, lateMs, out refusal);
                    break;
                case FrameKind.BulkAcknowledgement:
                    _bulk.OnAcknowledged(frame.Offset, NowUs);
                    WakeBulk();
                    break;
                case FrameKind.Credit when _streams.TryGetValue(frame.Stream, out var stream):
                    stream.OnCredit(offset);
                    break;
                case FrameKind.Reset when _streams.TryGetValue(frame.Stream, out var stream):
                    stream.Fail(ReadReset(payload));
                    break;
                case FrameKind.Data when _streams.TryGetValue(frame.Stream, out var stream):
                    if (!stream.OnData(offset, payload, frame.Flags.HasFlag(FrameFlags.End)))
                    {
                        refusal = (frame.Stream, LinkError.Reset, "a piece broke the stream's window");
                        stream.Fail(new LinkException(Peer, LinkError.Reset, "the peer broke the stream's window"));
                    }

                    break;
                case FrameKind.Data when frame.Stream > 0 && payload.Length > 0:
                    refusal = (frame.Stream, LinkError.Reset, "no such stream");
                    break;
            }
        }

        if (lost) Beat();
        if (acknowledge > 0)
            Forget(SendFrameAsync(LinkLane.Control, new Frame { Kind = FrameKind.BulkAcknowledgement, Offset = acknowledge }));
        if (refusal is { } no) SendReset(no.Stream, no.Error, no.Detail);
        if (opened is { } open) _owner.OnStream(this, open.Head, new BufferedChannel(open.Stream));
    }

    private void Refuse(byte major)
    {
        lock (Gate)
        {
            if (State != SiteState.Incompatible) FailAll(LinkError.LinkLost, $"{Peer} speaks another version");
            State = SiteState.Incompatible;
            Reason = $"it speaks version {major} of the link protocol, this agent speaks {Frame.Major}: upgrade this agent";
        }

        if (!_warnedVersion) _owner.Warn($"{Peer} is refused: {Reason}");
        _warnedVersion = true;
        _owner.OnChanged(this);
    }

    private (StreamHead, LinkStream)? Open(
        in Frame frame, ReadOnlySpan<byte> payload, long lateMs, out (ulong, LinkError, string)? refusal)
    {
        refusal = null;
        var isPeers = (frame.Stream % 2 == 1) != _opensOdd;
        if (!isPeers || frame.Stream <= _lastPeerStream) return null;
        _lastPeerStream = frame.Stream;
        if (lateMs > frame.TimeToLiveMs)
        {
            refusal = (frame.Stream, LinkError.Late, $"the request arrived {lateMs} ms late, and was dropped");
            return null;
        }

        if (_streams.Count >= Bounds.LinkStreamsMax)
        {
            refusal = (frame.Stream, LinkError.TooManyStreams, $"{Bounds.LinkStreamsMax} streams are open");
            return null;
        }

        if (_owner.IsDraining)
        {
            refusal = (frame.Stream, LinkError.Draining, "the site is draining");
            return null;
        }

        var length = payload.Length >= 4 ? BinaryPrimitives.ReadInt32LittleEndian(payload) : -1;
        if (length < 0 || length > payload.Length - 4 || StreamHead.Decode(payload.Slice(4, length)) is not { } head)
        {
            refusal = (frame.Stream, LinkError.ServiceRefused, "the opening is malformed");
            return null;
        }

        var stream = new LinkStream(this, frame.Stream, opening: null);
        _streams[frame.Stream] = stream;
        if (!stream.OnData(0, payload[(4 + length)..], frame.Flags.HasFlag(FrameFlags.End)))
        {
            _streams.Remove(frame.Stream);
            refusal = (frame.Stream, LinkError.Reset, "the first piece broke the stream's window");
            return null;
        }

        return (head, stream);
    }

    private LinkException ReadReset(ReadOnlySpan<byte> payload)
    {
        var error = payload.Length > 0 && payload[0] <= (byte)LinkError.LinkLost ? (LinkError)payload[0] : LinkError.Reset;
        var detail = payload.Length > 1 ? Encoding.UTF8.GetString(payload[1..Math.Min(payload.Length, Bounds.ResetDetailSizeMax)]) : "no reason given";
        return new LinkException(Peer, error, $"{Peer}: {detail}");
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    /// <summary>Opens a stream; nothing is sent before its first bytes.</summary>
    /// <exception cref="LinkException">The site is down, draining or incompatible, or too many streams are open.</exception>
    public Channel OpenStream(StreamHead head)
    {
        lock (Gate)
        {
            if (State == SiteState.Draining) throw new LinkException(Peer, LinkError.Draining, $"{Peer} is draining");
            if (State != SiteState.Up) throw new LinkException(Peer, LinkError.SiteDown, $"{Peer} is {State.ToString().ToLowerInvariant()}: {Reason}");
            if (_streams.Count >= Bounds.LinkStreamsMax)
                throw new LinkException(Peer, LinkError.TooManyStreams, $"{Bounds.LinkStreamsMax} streams to {Peer} are open");
            var stream = new LinkStream(this, _nextStream, head);
            _nextStream += 2;
            _streams[stream.Id] = stream;
            return new BufferedChannel(stream);
        }
    }

    internal void Forget(LinkStream stream) => _streams.Remove(stream.Id);

    /// <summary>Takes room on the bulk lane. Called with the lock held.</summary>
    internal bool TryReserveBulk(ref int count, out Task? wait)
    {
        wait = null;
        if (_bulk.Room > 0)
        {
            _bulk.Reserve(count);
            return true;
        }

        // First come, first served, one chunk each: no stream keeps another from its turn.
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _bulkWaiters.Enqueue(waiter);
        wait = waiter.Task;
        return false;
    }

    private void WakeBulk()
    {
        for (var room = _bulk.Room; room > 0 && _bulkWaiters.TryDequeue(out var waiter); room -= Bounds.StreamChunkSizeMax) waiter.TrySetResult();
    }

    internal void SendReset(ulong stream, LinkError error, string detail)
    {
        var bytes = Encoding.UTF8.GetBytes(detail.Length > Bounds.ResetDetailSizeMax / 4 ? detail[..(Bounds.ResetDetailSizeMax / 4)] : detail);
        var message = new byte[Frame.HeaderSize + 1 + bytes.Length];
        message[Frame.HeaderSize] = (byte)error;
        bytes.CopyTo(message, Frame.HeaderSize + 1);
        Forget(SendFrameAsync(LinkLane.Control, new Frame { Kind = FrameKind.Reset, Stream = stream }, message, 1 + bytes.Length, 0));
    }

    /// <summary>Sends a frame without a payload.</summary>
    internal async ValueTask SendFrameAsync(LinkLane lane, Frame frame)
    {
        var message = ArrayPool<byte>.Shared.Rent(Frame.HeaderSize);
        try
        {
            await SendFrameAsync(lane, frame, message, 0, 0);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>Sends a frame whose payload stands in <paramref name="message"/> behind room for the header.</summary>
    /// <exception cref="IOException">The frame was not sent.</exception>
    internal async ValueTask SendFrameAsync(LinkLane lane, Frame frame, byte[] message, int payloadSize, ulong token)
    {
        // One at a time on each lane: the sequence must be the order in which they go.
        var sending = _sending[(int)lane];
        await sending.WaitAsync();
        try
        {
            lock (Gate)
            {
                var now = NowUs;
                var sequence = frame.Kind == FrameKind.Heartbeat ? 0 : ++_sent[(int)lane];
                if (lane == LinkLane.Bulk)
                {
                    _bulk.OnSent(sequence, payloadSize, now);
                    _bulkSent += payloadSize;
                }

                var stamped = frame with { FromSession = _session, ToSession = _peerSession, SentAtMs = (uint)(now / 1000), Sequence = sequence };
                stamped.Write(message);
            }

            await _transport.SendAsync(lane, message.AsMemory(0, Frame.HeaderSize + payloadSize), token, CancellationToken.None);
        }
        finally
        {
            sending.Release();
        }
    }
}
