using System.Net;
using Cheops.Agent.Mesh;

namespace Cheops.Agent.Transport;

/// <summary>
/// The narrow port under a <see cref="Channel"/>: bytes in, bytes out, an end and an abort. At most one receive and one
/// send are under way at a time.
/// </summary>
public abstract class ByteTransport : IDisposable
{
    /// <summary>The peer's address; null where there is none.</summary>
    public virtual EndPoint? RemoteEndPoint => null;

    /// <summary>The address the peer reached; null where there is none.</summary>
    public virtual EndPoint? LocalEndPoint => null;

    /// <summary>The user that the peer's verified certificate names; null without one.</summary>
    public virtual UserIdentity? PeerUser => null;

    /// <summary>Receives at least one byte; 0 at the peer's orderly end. With an empty buffer: waits until there is something.</summary>
    /// <exception cref="IOException">The transport was reset or aborted.</exception>
    public abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer);

    /// <summary>Sends all of <paramref name="data"/>.</summary>
    /// <exception cref="IOException">The transport was reset or aborted.</exception>
    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> data);

    /// <summary>Ends our direction in an orderly way.</summary>
    /// <exception cref="IOException">The transport was reset or aborted.</exception>
    public abstract ValueTask EndSendAsync();

    /// <summary>Resets both directions; a call under way fails. Safe from any thread, more than once.</summary>
    public abstract void Abort();

    /// <summary>Releases what the system holds for it.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the system holds for it.</summary>
    protected abstract void Dispose(bool disposing);
}
