using System.Buffers;
using Cheops.Agent.Interception;
using Cheops.Agent.Translation;
using Cheops.Proto.Http;

namespace Cheops.Agent.Replication;

/// <summary>A kept body as an edit changes it while it is read.</summary>
internal sealed class EditedBody(ContentBody body, BodyEdit edit) : BodySource, IAsyncDisposable
{
    private readonly ArrayBufferWriter<byte> _output = new(4096);
    private bool _ended;

    /// <inheritdoc/>
    public override BodyFraming Framing => BodyFraming.Length;

    /// <inheritdoc/>
    public override bool IsComplete => _ended;

    /// <inheritdoc/>
    public override bool IsTouched => body.IsTouched;

    /// <inheritdoc/>
    public override async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        while (!_ended)
        {
            _output.ResetWrittenCount();
            var piece = await body.ReadAsync();
            _ended = piece.IsEmpty;
            if (_ended) edit.Complete(_output);
            else edit.Feed(piece.Span, _output);
            if (_output.WrittenCount > 0) return _output.WrittenMemory;
        }

        return default;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => body.DisposeAsync();
}
