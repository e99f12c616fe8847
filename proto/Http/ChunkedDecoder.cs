using System.Buffers;

namespace Cheops.Proto.Http;

/// <summary>What one step of <see cref="ChunkedDecoder"/> gave.</summary>
public enum ChunkedStep : byte
{
    /// <summary>All input was taken and more is needed.</summary>
    NeedMore,
    /// <summary>A piece of the body.</summary>
    Data,
    /// <summary>The body and its trailers are complete.</summary>
    Done,
    /// <summary>Refused.</summary>
    Refused,
}

/// <summary>Decodes the chunked transfer coding (RFC 9112 7.1) piece by piece, without copying the data. Once refused, it stays so.</summary>
public struct ChunkedDecoder
{
    private enum State : byte
    {
        Size, AfterSize, AfterSizeSpace, ExtensionName, InExtensionName, AfterExtensionName, ExtensionValue, InExtensionValue,
        InQuoted, InQuotedPair, AfterQuoted, AfterExtensionValue, SizeLineFeed, Data, DataReturn, DataLineFeed, TrailerLine, Done,
    }

    private const int SizeDigitsMax = 15;

    private State _state;
    private HttpRefusal _refusal;
    private int _digits;
    private int _extension;
    private long _left;
    private byte[]? _trailers;
    private int _trailerLength;
    private int _trailerLineStart;
    private int _trailerCount;

    /// <summary>The trailer section, complete lines with their CR LF, without the blank line; once done.</summary>
    public readonly ReadOnlySpan<byte> Trailers => _trailers is null ? default : _trailers.AsSpan(0, _trailerLength);

    /// <summary>Takes the next step.</summary>
    /// <param name="input">What was read and not consumed.</param>
    /// <param name="consumed">Bytes taken, the data among them.</param>
    /// <param name="dataStart">Where the data begins in <paramref name="input"/>.</param>
    /// <param name="dataLength">Length of the data.</param>
    /// <param name="refusal">Why it was refused.</param>
    public ChunkedStep Step(ReadOnlySpan<byte> input, out int consumed, out int dataStart, out int dataLength, out HttpRefusal refusal)
    {
        refusal = _refusal;
        dataStart = dataLength = consumed = 0;
        if (_refusal != HttpRefusal.None) return ChunkedStep.Refused;
        for (consumed = 0; consumed < input.Length;)
        {
            switch (_state)
            {
                case State.Data:
                    dataStart = consumed;
                    dataLength = (int)Math.Min(_left, input.Length - consumed);
                    consumed += dataLength;
                    _left -= dataLength;
                    if (_left == 0) _state = State.DataReturn;
                    return ChunkedStep.Data;
                case State.TrailerLine:
                    refusal = TakeTrailer(input, ref consumed);
                    if (refusal != HttpRefusal.None) return Refuse(refusal);
                    if (_state == State.Done) return ChunkedStep.Done;
                    break;
                case State.Done:
                    return ChunkedStep.Done;
                default:
                    refusal = TakeFraming(input[consumed++]);
                    if (refusal != HttpRefusal.None) return Refuse(refusal);
                    break;
            }
        }

        return _state == State.Done ? ChunkedStep.Done : ChunkedStep.NeedMore;
    }

    /// <summary>Forgets everything and gives buffers back.</summary>
    public void Reset()
    {
        if (_trailers is not null) ArrayPool<byte>.Shared.Return(_trailers);
        this = default;
    }

    private ChunkedStep Refuse(HttpRefusal refusal)
    {
        _refusal = refusal;
        return ChunkedStep.Refused;
    }

    private HttpRefusal TakeFraming(byte b)
    {
        switch (_state)
        {
            case State.Size: return TakeSize(b);
            case State.AfterSizeSpace when b is (byte)' ' or (byte)'\t' or (byte)';': return TakeExtension(b);
            case State.SizeLineFeed:
                if (b != '\n') return HttpRefusal.BareCarriageReturn;
                _state = _left == 0 ? State.TrailerLine : State.Data;
                return HttpRefusal.None;
            case State.DataReturn:
                _state = State.DataLineFeed;
                return b == '\r' ? HttpRefusal.None : HttpRefusal.InvalidChunkEnd;
            case State.DataLineFeed:
                _state = State.Size;
                _digits = _extension = 0;
                return b == '\n' ? HttpRefusal.None : HttpRefusal.InvalidChunkEnd;
            default: return TakeExtension(b);
        }
    }

    private HttpRefusal TakeSize(byte b)
    {
        var digit = char.IsAsciiHexDigit((char)b) ? (b <= '9' ? b - '0' : (b | 0x20) - 'a' + 10) : -1;
        if (digit >= 0)
        {
            if (++_digits > SizeDigitsMax) return HttpRefusal.InvalidChunkSize;
            _left = (_left << 4) | (long)digit;
            return HttpRefusal.None;
        }

        if (_digits == 0) return HttpRefusal.InvalidChunkSize;
        switch (b)
        {
            case (byte)'\r':
                _state = State.SizeLineFeed;
                return HttpRefusal.None;
            case (byte)';':
                _state = State.ExtensionName;
                return CountExtension();
            case (byte)' ' or (byte)'\t':
                _state = State.AfterSizeSpace;
                return CountExtension();
            default:
                return b == '\n' ? HttpRefusal.BareLineFeed : HttpRefusal.InvalidChunkSize;
        }
    }

    private HttpRefusal CountExtension() =>
        ++_extension > Bounds.ChunkExtensionSizeMax ? HttpRefusal.ChunkExtensionTooLarge : HttpRefusal.None;

    // chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )     (RFC 9112 7.1.1)
    private HttpRefusal TakeExtension(byte b)
    {
        var space = b is (byte)' ' or (byte)'\t';
        var token = MessageHead.TokenBytes.Contains(b);
        State? next = _state switch
        {
            State.AfterSizeSpace => space ? _state : b == ';' ? State.ExtensionName : null,
            State.ExtensionName => space ? _state : token ? State.InExtensionName : null,
            State.InExtensionName => token ? _state : b == '=' ? State.ExtensionValue : space ? State.AfterExtensionName : EndOf(b),
            State.AfterExtensionName => space ? _state : b == '=' ? State.ExtensionValue : b == ';' ? State.ExtensionName : null,
            State.ExtensionValue => space ? _state : b == '"' ? State.InQuoted : token ? State.InExtensionValue : null,
            State.InExtensionValue => token ? _state : space ? State.AfterExtensionValue : EndOf(b),
            State.InQuoted => b == '"' ? State.AfterQuoted : b == '\\' ? State.InQuotedPair : IsText(b) ? _state : null,
            State.InQuotedPair => IsText(b) ? State.InQuoted : null,
            State.AfterQuoted => space ? State.AfterExtensionValue : EndOf(b),
            State.AfterExtensionValue => space ? _state : b == ';' ? State.ExtensionName : null,
            _ => null,
        };
        if (next is null) return HttpRefusal.InvalidChunkExtension;
        _state = next.Value;
        return CountExtension();

        static State? EndOf(byte b) => b == ';' ? State.ExtensionName : b == '\r' ? State.SizeLineFeed : null;
        static bool IsText(byte b) => b is 9 or (>= 0x20 and not 0x7F);
    }

    private HttpRefusal TakeTrailer(ReadOnlySpan<byte> input, ref int consumed)
    {
        var rest = input[consumed..];
        if (_trailerLength == _trailerLineStart && rest.StartsWith("\r\n"u8))
        {
            consumed += 2;
            _state = State.Done;
            return HttpRefusal.None;
        }

        var lineFeed = rest.IndexOf((byte)'\n');
        var taken = lineFeed < 0 ? rest.Length : lineFeed + 1;

        // The blank line may arrive in pieces as well; it does not count.
        const int sizeMax = Bounds.TrailerSizeMax + 2;
        if (_trailerLength + taken > sizeMax) return HttpRefusal.TrailersTooLarge;
        _trailers ??= ArrayPool<byte>.Shared.Rent(sizeMax);
        rest[..taken].CopyTo(_trailers.AsSpan(_trailerLength));
        _trailerLength += taken;
        consumed += taken;
        return lineFeed < 0 ? HttpRefusal.None : EndTrailerLine();
    }

    private HttpRefusal EndTrailerLine()
    {
        var line = _trailers.AsSpan(_trailerLineStart, _trailerLength - _trailerLineStart);
        if (line.Length < 2 || line[^2] != '\r') return HttpRefusal.BareLineFeed;
        if (line.Length == 2)
        {
            _trailerLength = _trailerLineStart;
            _state = State.Done;
            return HttpRefusal.None;
        }

        if (_trailerLength > Bounds.TrailerSizeMax) return HttpRefusal.TrailersTooLarge;
        var refusal = MessageHead.ParseFieldLine(line[..^2], 0, true, out var field);
        if (refusal != HttpRefusal.None) return refusal;
        if (TrailerFields.IsForbidden(field.Known, line[..field.NameLength])) return HttpRefusal.ForbiddenTrailer;
        if (++_trailerCount > Bounds.FieldCountMax) return HttpRefusal.TrailersTooLarge;
        _trailerLineStart = _trailerLength;
        return HttpRefusal.None;
    }
}
