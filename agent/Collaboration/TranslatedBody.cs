using System.Buffers;
using Cheops.Agent.Interception;
using Cheops.Agent.Translation;
using Cheops.Proto.Http;

namespace Cheops.Agent.Collaboration;

/// <summary>A JSON body whose ids are translated while it is read, in constant memory. How long it becomes is not known before its end.</summary>
/// <param name="body">The body.</param>
/// <param name="translator">Translates it.</param>
internal sealed class TranslatedBody(BodySource body, JsonTranslator translator) : BodySource
{
    private readonly ArrayBufferWriter<byte> _output = new(4096);
    private bool _ended;

    /// <inheritdoc/>
    public override BodyFraming Framing => body.Framing == BodyFraming.None ? BodyFraming.None : BodyFraming.Chunked;

    /// <inheritdoc/>
    public override bool IsComplete => _ended;

    /// <inheritdoc/>
    public override bool IsTouched => body.IsTouched;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Trailers => body.Framing == BodyFraming.Chunked ? body.Trailers : default;

    /// <inheritdoc/>
    public override async ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        while (!_ended)
        {
            _output.ResetWrittenCount();
            var piece = await body.ReadAsync();
            if (piece.IsEmpty)
            {
                _ended = true;
                translator.Complete(_output);
            }
            else
            {
                translator.Feed(piece.Span, _output);
            }

            // What a translator holds back of a value that is not whole comes with the next piece.
            if (_output.WrittenCount > 0) return _output.WrittenMemory;
        }

        return default;
    }
}
