using System.Collections.Immutable;
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
/// and nobody else is called in it. This file: state and epochs; <c>LinkSession.Sending.cs</c>: what goes;
/// <c>LinkSession.Receiving.cs</c>: what arrives.
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
    private ImmutableDictionary<string, TimeSpan> _roundTripsFromThere = ImmutableDictionary<string, TimeSpan>.Empty;
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
    public HeartbeatStatus PeerStatus
    {
        get;
        private set
        {
            field = value;
            _roundTripsFromThere = value.RoundTrips.ToImmutableDictionary(pair => pair.Key, pair => TimeSpan.FromMicroseconds(pair.Value));
        }
    } = new();

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
                    RoundTripsFromThere = _roundTripsFromThere,
                    Services = PeerStatus.Services,
                    AgentVersion = PeerStatus.AgentVersion,
                    Incarnation = PeerStatus.Incarnation,
                    SealingKey = PeerStatus.SealingKey,
                    HoldsReplicants = PeerStatus.HoldsReplicants,
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
}
