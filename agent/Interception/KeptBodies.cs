using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Store.Contents;

namespace Cheops.Agent.Interception;

/// <summary>A body that is in memory, as one piece.</summary>
internal sealed class MemoryBody(ReadOnlyMemory<byte> bytes) : BodySource
{
    private bool _given = bytes.IsEmpty;

    public override BodyFraming Framing => BodyFraming.Length;

    public override bool IsComplete => _given;

    public override bool IsTouched => false;

    public override ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        if (_given) return new(ReadOnlyMemory<byte>.Empty);
        _given = true;
        return new(bytes);
    }
}

/// <summary>A body that is kept by its content.</summary>
/// <param name="content">The content; disposed of with this.</param>
/// <param name="start">Where it begins.</param>
internal sealed class ContentBody(ContentReader content, long start = 0) : BodySource, IAsyncDisposable
{
    private readonly byte[] _buffer = new byte[Bounds.LargeBufferSize];
    private long _offset = start;

    public override BodyFraming Framing => BodyFraming.Length;

    public override bool IsComplete => _offset == content.Size;

    public override bool IsTouched => false;

    public override async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        var read = await content.ReadAsync(_offset, _buffer);
        _offset += read;
        return _buffer.AsMemory(0, read);
    }

    public ValueTask DisposeAsync() => content.DisposeAsync();
}
