namespace Cheops.Agent.Mesh.Protocol;

/// <summary>The two lanes of a link: bodies on one never delay what is small and urgent on the other.</summary>
public enum LinkLane : byte
{
    /// <summary>Heartbeats, openings, the first bytes of streams, credit, resets.</summary>
    Control,
    /// <summary>Streams past their first bytes.</summary>
    Bulk,
}

/// <summary>Carries messages to and from the agent of one other site. Messages on one lane stay in order; some may be lost or late.</summary>
public interface ILinkTransport
{
    /// <summary>Whether this end has one link for both lanes; the peer is told.</summary>
    bool SharesBulk => false;

    /// <summary>Whether the peer has one link for both lanes: what is sent on the bulk lane must go over it too.</summary>
    bool PeerSharesBulk
    {
        set { }
    }

    /// <summary>Begins to deliver. The callbacks must not block; a message's bytes are valid during the call only.</summary>
    /// <param name="receive">Takes a message from the other site's agent, and from nobody else.</param>
    /// <param name="undeliverable">Told the token of a message that surely reached nobody.</param>
    void Start(Action<LinkLane, ReadOnlyMemory<byte>> receive, Action<ulong> undeliverable);

    /// <summary>Sends a message; completes when it is on its way, which is no proof that it arrives.</summary>
    /// <param name="lane">The lane.</param>
    /// <param name="message">The message, copied before the call completes.</param>
    /// <param name="token">Not 0: whether nobody is there to receive it is to be told with this token.</param>
    /// <param name="cancellation">Ends the wait for room.</param>
    /// <exception cref="NotSentException">Nothing of the message left this process.</exception>
    /// <exception cref="IOException">The message was not sent as a whole, or is not known to be.</exception>
    ValueTask SendAsync(LinkLane lane, ReadOnlyMemory<byte> message, ulong token, CancellationToken cancellation);
}

/// <summary>A transport has no connection: nothing of a message left this process.</summary>
/// <param name="detail">In words for a person.</param>
public sealed class NotSentException(string detail) : IOException(detail);
