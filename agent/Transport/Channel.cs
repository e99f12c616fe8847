using System.IO.Pipelines;
using System.Net;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

/// <summary>
/// One bidirectional stream of bytes: an accepted or dialed socket, a TLS session, a stream over a link to another
/// site, or a pair in memory. Everything above (HTTP, pools, relays) is written against this type alone, and so runs
/// unchanged over each of them.
/// </summary>
/// <remarks>
/// Reading is pull-based: nothing is read from the network before <see cref="Input"/> is asked, which is what carries
/// back-pressure. An orderly end by the peer shows as <see cref="ReadResult.IsCompleted"/>; a reset, by the peer or
/// by <see cref="Abort"/>, as an <see cref="IOException"/> from the pending or next call, never as an orderly end.
/// Completions may run inline on the thread that polls the sockets: whoever awaits must not block.
/// </remarks>
public abstract class Channel : IDuplexPipe, IAsyncDisposable
{
    /// <summary>What the peer sends.</summary>
    public abstract PipeReader Input { get; }

    /// <summary>What is sent to the peer. A flush completes when the transport has taken the bytes.</summary>
    public abstract PipeWriter Output { get; }

    /// <summary>The peer's address; null where there is none (memory, links).</summary>
    public virtual EndPoint? RemoteEndPoint => null;

    /// <summary>The address the peer reached; null where there is none.</summary>
    public virtual EndPoint? LocalEndPoint => null;

    /// <summary>The user that the peer's verified TLS certificate names; null without one.</summary>
    public virtual UserIdentity? PeerUser => null;

    /// <summary>Ends our direction in an orderly way after what was flushed; the other direction goes on.</summary>
    /// <exception cref="IOException">The channel was reset.</exception>
    public abstract ValueTask CompleteOutputAsync();

    /// <summary>Tears both directions down at once. The peer sees a reset. Safe from any thread, more than once.</summary>
    public abstract void Abort();

    /// <summary>Releases the channel; one that was not ended in an orderly way is aborted.</summary>
    public abstract ValueTask DisposeAsync();
}
