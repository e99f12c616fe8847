using System.Buffers;
using System.Collections.Immutable;
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

    /// <summary>A link's state, or what is known of its peer, has changed.</summary>
    void OnChanged(LinkSession link);

    /// <summary>The peer opened a stream; <paramref name="channel"/> is the owner's now.</summary>
    void OnStream(LinkSession link, StreamHead head, Channel channel);

    /// <summary>The peer sent a message to a channel; its bytes are valid during the call only.</summary>
    void OnMessage(LinkSession link, ulong channel, ReadOnlySpan<byte> message);

    /// <summary>Something that a person should know of, once per change.</summary>
    void Warn(string message);
}

/// <summary>
/// This agent's end of the link to one other site: liveness by heartbeats, streams, and messages. Reads no clock and no
/// chance of its own and starts no thread: the owner calls <see cref="Tick"/>, the transport delivers.
/// </summary>
/// <remarks>
/// LAYOUT.md in proto/Links describes the frames. Everything here is guarded by <see cref="Gate"/>; nothing is awaited
/// and nobody else is called in it. This file: state and sending; <c>LinkSession.Receiving.cs</c>: what arrives.
/// </remarks>
internal sealed partial class LinkSession
{
    // What tokens of undeliverable messages mean, when they are no stream's number.
    private const ulong HeartbeatToken = ulong.MaxValue;
    private const ulong FrameToken = ulong.MaxValue - 1;

    private readonly ILinkTransport _transport;
    private readonly ILinkOwner _owner;
    private readonly TimeProvider _time;
    private readonly long _startedAt;
    private readonly uint _session;
    private readonly bool _opensOdd;
    private readonly Dictionary<ulong, LinkStream> _streams = [];
    private readonly HashSet<LinkStream> _unopened = [];
    private readonly Liveness _liveness;
    private readonly SemaphoreSlim[] _sending = [new(1), new(1)];
    private readonly ulong[] _sent = new ulong[2];
    private readonly ulong[] _received = new ulong[2];
    private BulkTurns _turns = new();
    private ushort _epoch;
    private ulong _nextStream;
    private ulong _lastPeerStream;
    private long _bulkSent;
    private long _bulkReceived;
    private int _resetsQueued;
    private ulong _acknowledgeUpTo;
    private bool _acknowledging;
    private bool _warnedVersion;
    private volatile bool _ended;

    public LinkSession(string self, string peer, uint session, ILinkTransport transport, ILinkOwner owner, WindowBudget budget, TimeProvider time)
    {
        Peer = peer;
        _session = session;
        _liveness = new Liveness(session);
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

    /// <summary>What the peer's last heartbeat said.</summary>
    public HeartbeatStatus PeerStatus { get; private set; } = new();

    /// <summary>Streams open.</summary>
    public int StreamCount
    {
        get
        {
            lock (Gate) return _streams.Count + _unopened.Count;
        }
    }

    /// <summary>Bytes sent and received on the bulk lane, and how many may be in flight now.</summary>
    public (long Sent, long Received, long Window) Bulk
    {
        get
        {
            lock (Gate) return (_bulkSent, _bulkReceived, _turns.Window.Size);
        }
    }

    /// <summary>What is known of the peer.</summary>
    public SiteStatus Status
    {
        get
        {
            lock (Gate)
            {
                return new SiteStatus
                {
                    Name = Peer,
                    State = _liveness.State,
                    Reason = _liveness.Reason,
                    HeardAt = InstantOf(_liveness.HeardUs),
                    RoundTrip = _liveness.RoundTripUs < 0 ? null : TimeSpan.FromMicroseconds(_liveness.RoundTripUs),
                    RoundTripAt = _liveness.RoundTripUs < 0 ? null : InstantOf(_liveness.RoundTripAtUs),
                    RoundTripsFromThere = PeerStatus.RoundTrips.ToImmutableDictionary(pair => pair.Key, pair => TimeSpan.FromMicroseconds(pair.Value)),
                    Services = PeerStatus.Services,
                    AgentVersion = PeerStatus.AgentVersion,
                    Incarnation = PeerStatus.Incarnation,
                    SealingKey = PeerStatus.SealingKey,
                };
            }
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

    /// <summary>Ends the link: what is open fails, and nothing that still arrives is looked at.</summary>
    public void End()
    {
        _ended = true;
        lock (Gate) Lose("the site is no peer any more");
    }

    /// <summary>Looks whether the peer has fallen silent. Called every <see cref="Bounds.LinkTickMs"/>.</summary>
    public void Tick()
    {
        LivenessChange change;
        lock (Gate)
        {
            var now = NowUs;
            change = _liveness.Judge(now);
            if (change == LivenessChange.WentDown) Lose(_liveness.Reason);
            else if (_turns.Window.OldestSentAtUs is { } since && now - since > Bounds.BulkSilenceMaxMs * 1000L) Lose("the bulk lane stands still");
            else return;
        }

        Changed();
    }

    /// <summary>Sends a heartbeat. Called every <see cref="Bounds.HeartbeatMs"/> or a little more often.</summary>
    public void Beat()
    {
        lock (Gate) _liveness.BeginTurn();
        SendBeat();
    }

    private void SendBeat()
    {
        var status = _owner.Status with { SharesBulk = _transport.SharesBulk };
        Frame frame;
        ReadOnlyMemory<byte> payload;
        lock (Gate) (frame, payload) = _liveness.Next(status, NowUs);
        var message = new byte[Frame.HeaderSize + payload.Length];
        payload.Span.CopyTo(message.AsSpan(Frame.HeaderSize));
        Forget(SendFrameAsync(LinkLane.Control, frame, message, payload.Length));
    }

    // Whoever is told that a link has changed may ask it anything, so the lock is not held; and the peer hears of it at once.
    private void Changed()
    {
        SendBeat();
        _owner.OnChanged(this);
    }

    /// <summary>Opens a stream; nothing is sent before its first bytes.</summary>
    /// <exception cref="LinkException">The site is down, draining or incompatible, or too many streams are open.</exception>
    public Channel OpenStream(StreamHead head)
    {
        lock (Gate)
        {
            ThrowUnlessUp();
            if (_streams.Count + _unopened.Count >= Bounds.LinkStreamsMax)
                throw new LinkException(Peer, LinkError.TooManyStreams, $"{Bounds.LinkStreamsMax} streams to {Peer} are open");
            var stream = new LinkStream(this, 0, _epoch, head);
            _unopened.Add(stream);
            return new BufferedChannel(stream);
        }
    }

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

    private void ThrowUnlessUp()
    {
        if (_liveness.State == SiteState.Draining) throw new LinkException(Peer, LinkError.Draining, $"{Peer} is draining");
        if (_liveness.State == SiteState.Up) return;
        var state = _liveness.State == SiteState.Unknown ? "not known to be up" : _liveness.State.ToString().ToLowerInvariant();
        throw new LinkException(Peer, LinkError.SiteDown, $"{Peer} is {state}: {_liveness.Reason}");
    }

    internal void Forget(LinkStream stream)
    {
        if (!_unopened.Remove(stream)) _streams.Remove(stream.Id);
    }

    /// <summary>Takes a turn on the bulk lane; null when it is there at once. Called with the lock held.</summary>
    internal Task<bool>? TakeBulkTurn(int bytes) => _turns.Take(bytes);

    /// <summary>Gives a turn back that is not used. Called with the lock held.</summary>
    internal void ReturnBulkTurn(ushort epoch, int bytes)
    {
        if (epoch == _epoch) _turns.Return(bytes);
    }

    // Frames were lost, or must be taken for lost: what is open fails at both ends, and counting begins anew.
    private void Lose(string why) => BeginEpoch((ushort)(_epoch + 1), why);

    private void BeginEpoch(ushort epoch, string why)
    {
        _epoch = epoch;
        Array.Clear(_sent);
        Array.Clear(_received);
        _turns.End();
        _turns = new BulkTurns();
        _acknowledgeUpTo = 0;
        foreach (var stream in _streams.Values.Concat(_unopened).ToArray()) stream.Fail(LinkError.LinkLost, $"the link to {Peer} was lost: {why}");
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
    /// <exception cref="IOException">The frame was not sent.</exception>
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
    /// <exception cref="IOException">The frame was not sent.</exception>
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
            // It has its number already: to the peer it is lost.
            var lost = false;
            lock (Gate)
            {
                lost = frame.Kind != FrameKind.Heartbeat && epoch == _epoch;
                if (lost) Lose(e.Message);
            }

            if (lost) Changed();
            throw;
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
