namespace Cheops.Store.Contents;

/// <summary>Keeps large bodies durably, each once, under the SHA-256 of its bytes.</summary>
/// <remarks>What is kept stays until <see cref="Remove"/>; what was only partly received survives a crash and is gone on with.</remarks>
public interface IContentStore : IAsyncDisposable
{
    /// <summary>Begins to keep a body whose hash is not known yet. Disposed without <see cref="ContentWriter.CompleteAsync"/>, nothing of it stays.</summary>
    ContentWriter Create();

    /// <summary>
    /// Goes on with a body whose hash is known, from where an earlier attempt stopped (<see cref="ContentWriter.Length"/>).
    /// Disposed without completion, what was appended stays for the next attempt. One writer at a time for one hash. Of a
    /// body that is kept whole already nothing is missing.
    /// </summary>
    /// <param name="hash">Its hash.</param>
    /// <param name="size">Its bytes, at most <see cref="Proto.Bounds.ContentSizeMax"/>.</param>
    /// <exception cref="ContentException">Another writer is at it, or the disk failed.</exception>
    ContentWriter Resume(ContentHash hash, long size);

    /// <summary>Opens a kept body for reading; null when it is not kept whole here. It stays readable while open, also after its removal.</summary>
    ContentReader? Open(ContentHash hash);

    /// <summary>Forgets a body, whole or partial; nothing happens when there is none. A partial one with a writer at it stays the writer's.</summary>
    /// <exception cref="ContentException">The disk failed.</exception>
    void Remove(ContentHash hash);

    /// <summary>The bodies kept whole, with the time of their last completion or opening; for finding those that nobody needs.</summary>
    IReadOnlyCollection<ContentInfo> List();
}

/// <summary>A body that is kept.</summary>
/// <param name="Hash">Its hash.</param>
/// <param name="Size">Its bytes.</param>
/// <param name="At">When it was last completed or opened.</param>
public sealed record ContentInfo(ContentHash Hash, long Size, DateTimeOffset At);

/// <summary>A body being received.</summary>
public abstract class ContentWriter : IAsyncDisposable
{
    /// <summary>Bytes that are there.</summary>
    public abstract long Length { get; }

    /// <summary>Appends. After a failure what was there before is there.</summary>
    /// <exception cref="ContentException">The disk is full or failed, or the body grows past its size or bound.</exception>
    public abstract ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation = default);

    /// <summary>Makes the body durable and returns its hash.</summary>
    /// <exception cref="ContentException">The hash is not the one promised (what was received is then removed), or the disk failed.</exception>
    public abstract ValueTask<ContentHash> CompleteAsync(CancellationToken cancellation = default);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>A kept body, open for reading by one reader at a time.</summary>
public abstract class ContentReader : IAsyncDisposable
{
    /// <summary>Its bytes.</summary>
    public abstract long Size { get; }

    /// <summary>Reads from an offset on; 0 only at the end.</summary>
    /// <exception cref="ContentException">The disk failed.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation = default);

    /// <inheritdoc/>
    public abstract ValueTask DisposeAsync();
}

/// <summary>Why a body could not be kept or read.</summary>
public enum ContentError
{
    /// <summary>The body is longer than one may be, or than was promised.</summary>
    TooLarge,
    /// <summary>The disk, or the room given to kept bodies, is full.</summary>
    Full,
    /// <summary>Another writer is at the same body.</summary>
    Busy,
    /// <summary>What was received is not what was promised.</summary>
    WrongHash,
    /// <summary>The disk failed.</summary>
    Failed,
}

/// <summary>A body could not be kept or read.</summary>
/// <param name="error">Why.</param>
/// <param name="detail">In words for a person.</param>
/// <param name="cause">The system's error, where there is one.</param>
public sealed class ContentException(ContentError error, string detail, Exception? cause = null) : IOException(detail, cause)
{
    /// <summary>Why.</summary>
    public ContentError Error { get; } = error;
}
