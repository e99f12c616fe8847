using System.Collections.Immutable;
using Cheops.Agent.Transport;

namespace Cheops.Agent.Mesh;

/// <summary>The other sites as the rest of the agent sees them: who is there, and streams to and from them.</summary>
/// <remarks>Implemented over NATS leaf nodes, and in memory for tests; both pass one contract suite.</remarks>
public interface IMesh
{
    /// <summary>What is known of every site named in the configuration, this one first. A snapshot, swapped whole.</summary>
    ImmutableArray<SiteStatus> Sites { get; }

    /// <summary>Opens a stream to the agent of another site. Completes without waiting for the network.</summary>
    /// <returns>A channel; its reader sees a reset with a <see cref="LinkException"/> when the peer refuses or is lost.</returns>
    /// <exception cref="LinkException">The site is not known, known as down, draining, or has too many streams open.</exception>
    Channel OpenStream(string site, StreamOpening opening);

    /// <summary>Takes the streams that other sites open. Set once, before the mesh starts.</summary>
    Func<InboundStream, Task> StreamHandler { set; }
}

/// <summary>What opens a stream: everything the other site must know that is not in the HTTP request itself.</summary>
public sealed record StreamOpening
{
    /// <summary>The service at the other site that the request is for.</summary>
    public required string Service { get; init; }

    /// <summary>The workflow the request belongs to; null when it has no scope.</summary>
    public WorkflowOrigin? Workflow { get; init; }

    /// <summary>The user for whom the other site acts through its front proxy; null to pass credentials on as they are.</summary>
    public UserIdentity? User { get; init; }

    /// <summary>The client's address, for <c>Forwarded</c>; empty when it is not known.</summary>
    public string ClientAddress { get; init; } = "";

    /// <summary><c>http</c> or <c>https</c>: how the client reached the first agent.</summary>
    public string Scheme { get; init; } = "http";

    /// <summary>
    /// Whether the other site is to carry the request out as one that is replicated: by the group that the workflow's scope names, of
    /// which it is a member, or, without one, by the group of its replicant that the path names.
    /// </summary>
    public bool Replicate { get; init; }
}

/// <summary>The workflow that a forwarded request belongs to, so that its sub-requests keep their scope at the other site.</summary>
/// <param name="Id">The workflow's id (32 lower-case hexadecimal digits, usable as a W3C trace id).</param>
/// <param name="Scope">The scope as text, with <c>here</c> already replaced by the site where the request came in.</param>
public sealed record WorkflowOrigin(string Id, string Scope);

/// <summary>An authenticated user, as a front proxy asserts it.</summary>
/// <param name="Name">The user's name.</param>
/// <param name="Groups">The groups the user is in.</param>
public sealed record UserIdentity(string Name, ImmutableArray<string> Groups);

/// <summary>A stream that another site opened. <paramref name="FromSite"/> is proven by the link, not claimed in it.</summary>
/// <param name="FromSite">The site at the other end.</param>
/// <param name="Opening">What it said on opening.</param>
/// <param name="Channel">The stream.</param>
public sealed record InboundStream(string FromSite, StreamOpening Opening, Channel Channel);

/// <summary>How a site is known at one moment.</summary>
public enum SiteState
{
    /// <summary>Not heard from since this agent started.</summary>
    Unknown,
    /// <summary>Heard from within the heartbeat bound.</summary>
    Up,
    /// <summary>Up, but taking no new requests.</summary>
    Draining,
    /// <summary>Not heard from within the bound, or known to be gone.</summary>
    Down,
    /// <summary>Speaks a newer major version of the link protocol, and is refused.</summary>
    Incompatible,
}

/// <summary>What is known of one site, with its age: what was not heard from recently is never shown as healthy.</summary>
public sealed record SiteStatus
{
    /// <summary>The site's name.</summary>
    public required string Name { get; init; }

    /// <summary>Whether this is the agent's own site.</summary>
    public bool IsSelf { get; init; }

    /// <summary>Its state as of the last change.</summary>
    public required SiteState State { get; init; }

    /// <summary>When the site was last heard from; null for never.</summary>
    public DateTimeOffset? HeardAt { get; init; }

    /// <summary>Smoothed round-trip time; null when not measured. Zero for this site.</summary>
    public TimeSpan? RoundTrip { get; init; }

    /// <summary>When <see cref="RoundTrip"/> was last updated.</summary>
    public DateTimeOffset? RoundTripAt { get; init; }

    /// <summary>Round-trip times that the site reports to others, by their names.</summary>
    public ImmutableDictionary<string, TimeSpan> RoundTripsFromThere { get; init; } = ImmutableDictionary<string, TimeSpan>.Empty;

    /// <summary>The services the site offers, each with its version (<c>major.minor</c>, empty when unknown).</summary>
    public ImmutableDictionary<string, string> Services { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The random name of the site's durable data, made with it; empty when it was not heard.</summary>
    public string Incarnation { get; init; } = "";

    /// <summary>The public key for which credentials are sealed to the site, in Base64; empty when it was not heard.</summary>
    public string SealingKey { get; init; } = "";

    /// <summary>Whether it said that it holds replicas.</summary>
    public bool HoldsReplicants { get; init; }

    /// <summary>The version of the agent there.</summary>
    public string AgentVersion { get; init; } = "";

    /// <summary>Why the site is in this state, in words for a person.</summary>
    public string Reason { get; init; } = "";
}

/// <summary>Why a stream could not be opened, or ended other than in an orderly way.</summary>
public enum LinkError
{
    /// <summary>No site of that name is configured.</summary>
    UnknownSite,
    /// <summary>The site is known as down; nothing was sent.</summary>
    SiteDown,
    /// <summary>The site is draining; nothing was executed.</summary>
    Draining,
    /// <summary>Too many streams, here or there; nothing was executed.</summary>
    TooManyStreams,
    /// <summary>The opening arrived past its deadline and was dropped; nothing was executed.</summary>
    Late,
    /// <summary>The other site offers no such service, or an incompatible version; nothing was executed.</summary>
    ServiceRefused,
    /// <summary>The other end reset the stream.</summary>
    Reset,
    /// <summary>The link was lost while the stream was open; what was under way may have been executed.</summary>
    LinkLost,
}

/// <summary>A stream over a link failed.</summary>
/// <param name="site">The site at the other end.</param>
/// <param name="error">What happened.</param>
/// <param name="detail">In words for a person.</param>
public sealed class LinkException(string site, LinkError error, string detail) : IOException(detail)
{
    /// <summary>The site at the other end.</summary>
    public string Site { get; } = site;

    /// <summary>What happened.</summary>
    public LinkError Error { get; } = error;

    /// <summary>Whether nothing that was sent on the stream can have been executed.</summary>
    public bool NothingExecuted => Error is not (LinkError.Reset or LinkError.LinkLost);
}
