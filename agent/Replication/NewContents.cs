using Cheops.Store.Contents;

namespace Cheops.Agent.Replication;

/// <summary>
/// The bodies of operations that are not proposed yet: another operation that has the same body, and is over meanwhile, does not
/// take it away. For one party; disposed of when the group's members need the bodies themselves, or nobody does.
/// </summary>
internal sealed class NewContents(Contents contents) : IDisposable
{
    private readonly List<ReadOnlyMemory<byte>> _kept = [];

    /// <summary>Whether it is known what became of the operations; else the bodies stay for a while, since a proposal may come through yet.</summary>
    public bool AreKnown { get; set; }

    /// <summary>Begins to keep a body.</summary>
    public ContentWriter Create() => contents.Create();

    /// <summary>Makes a body durable.</summary>
    /// <returns>Its hash and its bytes.</returns>
    /// <exception cref="ContentException">The disk failed.</exception>
    public async Task<(ReadOnlyMemory<byte> Hash, long Size)> KeepAsync(ContentWriter writer, CancellationToken cancellation = default)
    {
        var size = writer.Length;
        var hash = new byte[ContentHash.Size];
        (await contents.KeepAsync(writer, cancellation)).Write(hash);
        _kept.Add(hash);
        return (hash, size);
    }

    /// <summary>Opens one of them.</summary>
    public Task<ContentReader> OpenAsync(ReadOnlyMemory<byte> hash, long size, CancellationToken cancellation) =>
        contents.OpenAsync(ContentHash.Read(hash.Span), size, [], cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var hash in _kept) contents.Release(hash, isKept: !AreKnown);
        _kept.Clear();
    }
}
