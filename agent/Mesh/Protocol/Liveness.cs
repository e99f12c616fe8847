using Cheops.Proto;
using Cheops.Proto.Links;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>What a heartbeat, or its absence, changed.</summary>
internal enum LivenessChange : byte
{
    /// <summary>Late, doubled or of a dead process: no sign of life.</summary>
    Ignored,
    /// <summary>Nothing but the time it was heard.</summary>
    Heard,
    /// <summary>The site is up from now on.</summary>
    CameUp,
    /// <summary>The site is down from now on.</summary>
    WentDown,
    /// <summary>The peer's process is another than before.</summary>
    Renewed,
}

/// <summary>
/// Whether one other site is there, from heartbeats alone. It is up while its heartbeats arrive and echo a recent one of
/// ours: both directions are known to work. Pure: times are handed in, in microseconds. Guarded by the link's lock.
/// </summary>
internal sealed class Liveness(uint session)
{
    // What was heard just before a cut is not older than the bound when the next look comes: three heartbeats in all.
    private const long SilenceMaxUs = (Bounds.HeartbeatMs * Bounds.HeartbeatsMissedMax - Bounds.LinkTickMs) * 1000L;

    private readonly long[] _sentUs = new long[64];
    private readonly PeerClock _clock = new();
    private ulong _beat;
    private ulong _peerBeat;
    private uint _formerSession;
    private long _echoedUs = -1;
    private int _answersLeft;

    /// <summary>The site's state.</summary>
    public SiteState State { get; private set; }

    /// <summary>Why, in words for a person.</summary>
    public string Reason { get; private set; } = "not heard from yet";

    /// <summary>The peer's session; 0 while it is not known.</summary>
    public uint PeerSession { get; private set; }

    /// <summary>When it was last heard; -1 for never.</summary>
    public long HeardUs { get; private set; } = -1;

    /// <summary>Smoothed round-trip time; -1 when not measured.</summary>
    public long RoundTripUs { get; private set; } = -1;

    /// <summary>When it was measured.</summary>
    public long RoundTripAtUs { get; private set; }

    /// <summary>Whether the site is up, draining or not.</summary>
    public bool IsUp => State is SiteState.Up or SiteState.Draining;

    /// <summary>Makes the next heartbeat.</summary>
    /// <param name="status">What it says of the site.</param>
    /// <param name="now">Now.</param>
    /// <returns>Its header, without what the link adds, and its payload.</returns>
    public (Frame Frame, ReadOnlyMemory<byte> Payload) Next(HeartbeatStatus status, long now)
    {
        _sentUs[++_beat % (ulong)_sentUs.Length] = now;
        var frame = new Frame
        {
            Kind = FrameKind.Heartbeat,
            Offset = _beat,
            TimeToLiveMs = Bounds.HeartbeatMs * Bounds.HeartbeatsMissedMax,
            ToSession = IsSilent(HeardUs, now) ? 0 : PeerSession,
        };
        return (frame, (status with { Echo = _peerBeat, HeldMicroseconds = _peerBeat == 0 ? 0 : (ulong)(now - HeardUs) }).Encode());
    }

    /// <summary>Whether a heartbeat should go out of turn, so that both ends come up at once and not a second later.</summary>
    public bool ShouldAnswer(LivenessChange change) => change switch
    {
        LivenessChange.Renewed or LivenessChange.CameUp => _answersLeft-- > 0,
        LivenessChange.Heard when !IsUp => _answersLeft-- > 0,
        _ => false,
    };

    /// <summary>It is time for the next heartbeat in turn: then a few may be answered out of turn again.</summary>
    public void BeginTurn() => _answersLeft = Bounds.HeartbeatAnswersMax;

    /// <summary>How late a frame arrives that was sent at <paramref name="sentMs"/>.</summary>
    public long LatenessMs(uint sentMs, long now) => _clock.LatenessMs(sentMs, now);

    /// <summary>Takes a heartbeat.</summary>
    public LivenessChange OnHeartbeat(in Frame frame, HeartbeatStatus status, long now)
    {
        if (frame.FromSession == _formerSession) return LivenessChange.Ignored;
        var renewed = frame.FromSession != PeerSession;
        if (renewed) Renew(frame.FromSession);
        var lateMs = LatenessMs(frame.SentAtMs, now);
        if (frame.Offset <= _peerBeat || lateMs > frame.TimeToLiveMs) return LivenessChange.Ignored;
        _peerBeat = frame.Offset;
        HeardUs = now;
        var hearsUs = frame.ToSession == session;
        if (hearsUs && status.Echo > 0 && status.Echo <= _beat && _beat - status.Echo < (ulong)_sentUs.Length)
            OnEcho(now, _sentUs[status.Echo % (ulong)_sentUs.Length], status.HeldMicroseconds);
        var change = Decide(hearsUs, status.Draining, now);
        return renewed ? LivenessChange.Renewed : change;
    }

    private LivenessChange Decide(bool hearsUs, bool draining, long now)
    {
        if (!hearsUs || IsSilent(_echoedUs, now))
        {
            if (IsUp) return Down("it does not hear this site: the link is cut in one direction, or its agent was started anew");
            if (State == SiteState.Incompatible) State = SiteState.Down;
            Reason = "it is heard, but does not hear this site";
            return LivenessChange.Heard;
        }

        var wasUp = IsUp;
        State = draining ? SiteState.Draining : SiteState.Up;
        Reason = draining ? "it is draining" : "";
        return wasUp ? LivenessChange.Heard : LivenessChange.CameUp;
    }

    /// <summary>Looks whether the peer has fallen silent. Called every <see cref="Bounds.LinkTickMs"/>.</summary>
    public LivenessChange Judge(long now)
    {
        if (!IsUp) return LivenessChange.Heard;
        if (IsSilent(HeardUs, now)) return Down($"nothing heard for {(now - HeardUs) / 1_000_000.0:0.0} s");
        return IsSilent(_echoedUs, now - Bounds.HeartbeatMs * 1000L)
            ? Down("it does not hear this site: the link is cut in one direction")
            : LivenessChange.Heard;
    }

    /// <summary>A heartbeat surely reached nobody.</summary>
    public LivenessChange OnNobody()
    {
        const string Nobody = "its agent, or the link to it, is not there";
        if (State is SiteState.Down && Reason == Nobody) return LivenessChange.Heard;
        return Down(Nobody);
    }

    /// <summary>The peer speaks a newer major version.</summary>
    public void OnIncompatible(byte major)
    {
        State = SiteState.Incompatible;
        Reason = $"it speaks version {major} of the link protocol, this agent speaks {Frame.Major}: upgrade this agent";
    }

    private LivenessChange Down(string reason)
    {
        State = SiteState.Down;
        Reason = reason;
        return LivenessChange.WentDown;
    }

    private static bool IsSilent(long sinceUs, long now) => sinceUs < 0 || now - sinceUs > SilenceMaxUs;

    private void OnEcho(long now, long sentUs, ulong heldUs)
    {
        _echoedUs = Math.Max(_echoedUs, sentUs);
        var sample = now - sentUs - (long)Math.Min(heldUs, int.MaxValue);
        if (sample < 0) return;

        // RFC 6298's smoothing: an eighth of each new sample.
        RoundTripUs = RoundTripUs < 0 ? sample : (RoundTripUs * 7 + sample) / 8;
        RoundTripAtUs = now;
    }

    private void Renew(uint peerSession)
    {
        _formerSession = PeerSession;
        PeerSession = peerSession;
        _peerBeat = 0;
        _echoedUs = -1;
        _clock.Reset();
    }
}
