namespace Cheops.Store.Bodies;

/// <summary>Keeps bodies that may have to be sent again: in memory while small, on disk past a bound.</summary>
/// <remarks>
/// What is kept lives as long as the request it belongs to and is no durable state: a crash leaves nothing behind.
/// </remarks>
public interface IBodyStore
{
    /// <summary>Begins to keep a body.</summary>
    BodySpool Create();
}

/// <summary>One body being kept. Appended by one writer and read by one reader, never both at once.</summary>
public abstract class BodySpool : IAsyncDisposable
{
    /// <summary>Bytes kept so far.</summary>
    public abstract long Length { get; }

    /// <summary>Appends to the body. After a failure the spool holds what it held before the call.</summary>
    /// <exception cref="BodyStoreException">There is no room, or the disk failed.</exception>
    public abstract ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation);

    /// <summary>Reads from <paramref name="offset"/> on.</summary>
    /// <returns>The number of bytes read; 0 only at the end of what is kept, or for an empty destination.</returns>
    /// <exception cref="BodyStoreException">The disk failed.</exception>
    public abstract ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellation);

    /// <summary>Forgets the body and gives its room back.</summary>
    public abstract ValueTask DisposeAsync();
}

/// <summary>Why a body could not be kept or read.</summary>
public enum BodyStoreError
{
    /// <summary>The body is longer than one kept body may be.</summary>
    TooLarge,
    /// <summary>The disk, or the room given to kept bodies, is full.</summary>
    Full,
    /// <summary>Reading or writing failed.</summary>
    Failed,
}

/// <summary>A body could not be kept or read; what was kept before is intact.</summary>
/// <param name="error">What happened.</param>
/// <param name="detail">In words for a person.</param>
/// <param name="cause">The system's error, where there is one.</param>
public sealed class BodyStoreException(BodyStoreError error, string detail, Exception? cause = null) : IOException(detail, cause)
{
    /// <summary>What happened.</summary>
    public BodyStoreError Error { get; } = error;
}
