using System.Buffers;
using System.Runtime.CompilerServices;
using Cheops.Agent.Transport;
using Cheops.Proto.Http;

namespace Cheops.Agent.Interception;

/// <summary>The body of the message that a channel is at. Used again for message after message.</summary>
/// <param name="input">Where it comes from.</param>
/// <param name="time">Counts the time for which it is waited; null where that has no bound over the whole body.</param>
internal sealed class HttpBody(InputWatch input, Deadlines? time = null) : BodySource
{
    private BodyFraming _framing;
    private long _left;
    private volatile bool _complete;
    private bool _touched;
    private ChunkedDecoder _chunks;
    private BodyPatience _patience = new();

    // What the last piece was cut from: consumed when the next is asked for.
    private volatile bool _holds;
    private SequencePosition _heldEnd;

    public override BodyFraming Framing => _framing;

    public override bool IsComplete => _complete;

    public override bool IsTouched => _touched;

    /// <summary>Whether the body is no acceptable HTTP; nothing that follows on the connection can be trusted.</summary>
    public bool IsRefused { get; private set; }

    public override ReadOnlySpan<byte> Trailers => _chunks.Trailers;

    /// <summary>
    /// Whether the end has been reached and the last piece is not used any more: only then may anybody else read the
    /// input, since reading moves what is held.
    /// </summary>
    public bool IsReleased => _complete && !_holds;

    /// <summary>Bytes of data given so far, of all bodies of this connection.</summary>
    public long TotalRead { get; private set; }

    /// <summary>How long the next piece may be waited for.</summary>
    public int PatienceMs => _patience.LeftMs;

    /// <summary>Begins the body of the next message.</summary>
    public void Begin(BodyFraming framing, long length)
    {
        _framing = framing;
        _left = length;
        _touched = false;
        _patience = new BodyPatience();
        _complete = framing == BodyFraming.None || (framing == BodyFraming.Length && length == 0);
    }

    public override ValueTask<ReadOnlyMemory<byte>> ReadAsync()
    {
        Release();
        return _complete ? new(ReadOnlyMemory<byte>.Empty) : PullAsync();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadOnlyMemory<byte>> PullAsync()
    {
        _touched = true;
        while (true)
        {
            // Only here somebody waits for the sender, whatever those who take the pieces do meanwhile.
            var since = time?.NowMs ?? 0;
            var read = await input.ReadAsync();
            if (time is not null) _patience.Waited(time.NowMs - since);
            if (!TryTake(read.Buffer, read.IsCompleted, out var piece)) continue;
            _patience.Came(piece.Length);
            return piece;
        }
    }

    private bool TryTake(in ReadOnlySequence<byte> buffer, bool ended, out ReadOnlyMemory<byte> piece)
    {
        piece = default;
        if (buffer.IsEmpty)
        {
            if (!ended) throw new InvalidOperationException("a read that has not ended gives at least one byte");
            if (_framing != BodyFraming.UntilClose) throw new EndOfStreamException("the connection ended before the message did");
            _complete = true;
            return true;
        }

        var first = buffer.First;
        if (_framing == BodyFraming.Chunked) return TryTakeChunk(buffer, first, out piece);
        if (_framing == BodyFraming.Length)
        {
            if (first.Length > _left) first = first[..(int)_left];
            _left -= first.Length;
        }

        Hold(buffer, first.Length);
        _complete = _framing == BodyFraming.Length && _left == 0;
        piece = first;
        TotalRead += piece.Length;
        return true;
    }

    private bool TryTakeChunk(in ReadOnlySequence<byte> buffer, ReadOnlyMemory<byte> first, out ReadOnlyMemory<byte> piece)
    {
        piece = default;
        var step = _chunks.Step(first.Span, out var consumed, out var start, out var length, out var refusal);
        switch (step)
        {
            case ChunkedStep.Refused:
                IsRefused = true;
                input.AdvanceTo(buffer.End);
                throw new HttpRefusalException(refusal);
            case ChunkedStep.Data:
                Hold(buffer, consumed);
                piece = first.Slice(start, length);
                TotalRead += length;
                return true;
            default:
                input.AdvanceTo(buffer.GetPosition(consumed));
                return _complete = step == ChunkedStep.Done;
        }
    }

    private void Hold(in ReadOnlySequence<byte> buffer, int count)
    {
        _heldEnd = buffer.GetPosition(count);
        _holds = true;
    }

    /// <summary>Lets go of the last piece.</summary>
    public void Release()
    {
        if (!_holds) return;
        input.AdvanceTo(_heldEnd);
        _holds = false;
    }

    /// <summary>Gives back what the body leaves behind.</summary>
    public void End()
    {
        Release();
        _chunks.Reset();
    }
}
