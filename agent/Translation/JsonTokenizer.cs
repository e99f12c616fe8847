using System.Buffers;
using Cheops.Proto;

namespace Cheops.Agent.Translation;

/// <summary>
/// Reads JSON texts, one after the other (RFC 8259), from any split of their bytes, in constant memory. Strict: what is no
/// JSON is told as <see cref="JsonTokenKind.Malformed"/>, and nothing after it is read.
/// </summary>
/// <remarks>
/// Every byte is white space, or of exactly one token: who copies all of them copies the input. Names and values longer than
/// <see cref="Bounds.JsonTokenSizeMax"/> are told by their beginning only. Texts deeper than <see cref="Bounds.JsonDepthMax"/>
/// are malformed.
/// </remarks>
internal sealed class JsonTokenizer
{
    private static readonly SearchValues<byte> InString = SearchValues.Create([(byte)'"', (byte)'\\', .. Enumerable.Range(0, 0x20).Select(b => (byte)b)]);
    private static readonly SearchValues<byte> InNumber = SearchValues.Create("0123456789+-.eE"u8);
    private static readonly SearchValues<byte> Space = SearchValues.Create(" \t\r\n"u8);

    private readonly ulong[] _isArray = new ulong[Bounds.JsonDepthMax / 64];
    private byte[] _held = [];
    private int _heldLength;
    private Expected _expected;
    private Partial _partial;
    private bool _isLong;

    // Of an escape that has begun: 1 when the letter is missing, 2 to 5 when so many digits less one are.
    private int _escape;

    private enum Expected : byte
    {
        Value,
        NameOrEnd,
        Name,
        Colon,
        ElementOrEnd,
        CommaOrEnd,
        Nothing,
    }

    private enum Partial : byte
    {
        None,
        Name,
        String,
        Number,
        Literal,
    }

    /// <summary>How many objects and lists are open.</summary>
    public int Depth { get; private set; }

    /// <summary>Whether the innermost open one is a list.</summary>
    public bool InArray => IsArray(Depth);

    /// <summary>Whether the open one at a depth, the outermost at 1, is a list; false for depth 0.</summary>
    public bool IsArray(int depth) => depth > 0 && (_isArray[(depth - 1) / 64] >> ((depth - 1) % 64) & 1) != 0;

    /// <summary>Bytes of a token that has begun and not ended, which no token has told of yet.</summary>
    public ReadOnlySpan<byte> Held => _held.AsSpan(0, _heldLength);

    /// <summary>Reads the next token.</summary>
    /// <param name="input">All of the input.</param>
    /// <param name="at">Where to begin; then, where to go on.</param>
    public JsonToken Next(ReadOnlySpan<byte> input, ref int at)
    {
        if (_expected == Expected.Nothing)
        {
            at = input.Length;
            return new JsonToken { Kind = JsonTokenKind.Malformed, Start = 0, End = 0 };
        }

        if (_partial != Partial.None)
        {
            var continued = Continue(input, at, 0, ref at);
            if (continued.Kind != JsonTokenKind.None || at == input.Length) return continued;
        }

        var skipped = input[at..].IndexOfAnyExcept(Space);
        if (skipped < 0)
        {
            at = input.Length;
            return new JsonToken { Kind = JsonTokenKind.None, Start = at, End = at };
        }

        at += skipped;
        return Begin(input, ref at);
    }

    private JsonToken Begin(ReadOnlySpan<byte> input, ref int at)
    {
        var b = input[at];
        switch (b)
        {
            case (byte)'"' when ExpectsValue || _expected is Expected.Name or Expected.NameOrEnd:
                _partial = ExpectsValue ? Partial.String : Partial.Name;
                return Continue(input, at, 1, ref at);
            case (byte)'{' or (byte)'[' when ExpectsValue && Depth < Bounds.JsonDepthMax:
                return Open(b == '[', input, at++);
            case (byte)'}' when _expected == Expected.NameOrEnd || (_expected == Expected.CommaOrEnd && !InArray):
            case (byte)']' when _expected == Expected.ElementOrEnd || (_expected == Expected.CommaOrEnd && InArray):
                Depth--;
                AfterValue();
                return Sign(b == '}' ? JsonTokenKind.EndObject : JsonTokenKind.EndArray, input, at++);
            case (byte)':' when _expected == Expected.Colon:
                _expected = Expected.Value;
                return Sign(JsonTokenKind.Colon, input, at++);
            case (byte)',' when _expected == Expected.CommaOrEnd:
                _expected = InArray ? Expected.Value : Expected.Name;
                return Sign(JsonTokenKind.Comma, input, at++);
            case (byte)'-' or (>= (byte)'0' and <= (byte)'9') when ExpectsValue:
                _partial = Partial.Number;
                return Continue(input, at, 0, ref at);
            case (byte)'t' or (byte)'f' or (byte)'n' when ExpectsValue:
                _partial = Partial.Literal;
                return Continue(input, at, 0, ref at);
            default:
                return Malformed(input, at, at, ref at);
        }
    }

    private bool ExpectsValue => _expected is Expected.Value or Expected.ElementOrEnd;

    private static JsonToken Sign(JsonTokenKind kind, ReadOnlySpan<byte> input, int at) => new() { Kind = kind, Bytes = input.Slice(at, 1), Start = at, End = at + 1 };

    private JsonToken Open(bool isArray, ReadOnlySpan<byte> input, int at)
    {
        var bit = 1UL << (Depth % 64);
        ref var bits = ref _isArray[Depth / 64];
        bits = isArray ? bits | bit : bits & ~bit;
        Depth++;
        _expected = isArray ? Expected.ElementOrEnd : Expected.NameOrEnd;
        return Sign(isArray ? JsonTokenKind.StartArray : JsonTokenKind.StartObject, input, at);
    }

    private void AfterValue() => _expected = Depth == 0 ? Expected.Value : Expected.CommaOrEnd;

    // Reads on in a name, string, number or literal that begins at 'start' (or is held), of which 'skip' bytes are known.
    private JsonToken Continue(ReadOnlySpan<byte> input, int start, int skip, ref int at)
    {
        var isText = _partial is Partial.Name or Partial.String;
        var end = start + skip;
        var ended = isText ? EndOfText(input, ref end) : EndOfWord(input, ref end);
        at = end;
        var size = _heldLength + end - start;
        if (ended is null && (_isLong || size <= Bounds.JsonTokenSizeMax)) return Malformed(input, _isLong ? end : start, end, ref at);
        if (_isLong)
        {
            // Told already; its bytes are copied like any others.
            if (ended == true) End();
            return new JsonToken { Kind = JsonTokenKind.None, Start = end, End = end };
        }

        if (size > Bounds.JsonTokenSizeMax) return Long(input[start..end], start, end, ended == true);
        if (ended == false)
        {
            Hold(input[start..end]);
            return new JsonToken { Kind = JsonTokenKind.None, Start = start, End = end };
        }

        return Whole(input, start, end, ref at);
    }

    private JsonToken Whole(ReadOnlySpan<byte> input, int start, int end, ref int at)
    {
        var isHeld = _heldLength > 0;
        var bytes = input[start..end];
        if (isHeld)
        {
            Hold(bytes);
            bytes = Held;
        }

        var kind = _partial switch
        {
            Partial.Name => JsonTokenKind.Name,
            Partial.String => JsonTokenKind.String,
            Partial.Number => JsonTokenKind.Number,
            _ => JsonTokenKind.Literal,
        };
        if ((kind == JsonTokenKind.Number && !JsonText.IsNumber(bytes)) || (kind == JsonTokenKind.Literal && !JsonText.IsLiteral(bytes)))
        {
            (_expected, _heldLength) = (Expected.Nothing, 0);
            at = input.Length;
            return new JsonToken { Kind = JsonTokenKind.Malformed, Bytes = bytes, IsHeld = isHeld, Start = start, End = isHeld ? end : start };
        }

        End();
        return new JsonToken { Kind = kind, Bytes = bytes, Start = start, End = end, IsHeld = isHeld };
    }

    private JsonToken Long(ReadOnlySpan<byte> bytes, int start, int end, bool ended)
    {
        var isHeld = _heldLength > 0;
        if (isHeld) bytes = Held;
        var kind = _partial == Partial.Name ? JsonTokenKind.LongName : JsonTokenKind.LongValue;
        _heldLength = 0;
        _isLong = true;
        if (ended) End();
        return new JsonToken { Kind = kind, Bytes = bytes, Start = start, End = isHeld ? start : end, IsHeld = isHeld };
    }

    // What was read of the token stays readable to the caller until the next call.
    private void End()
    {
        if (_partial == Partial.Name) _expected = Expected.Colon;
        else AfterValue();
        (_partial, _heldLength, _isLong) = (Partial.None, 0, false);
    }

    private void Hold(ReadOnlySpan<byte> bytes)
    {
        if (_held.Length < _heldLength + bytes.Length)
            Array.Resize(ref _held, Math.Min(Bounds.JsonTokenSizeMax, Math.Max(256, 2 * (_heldLength + bytes.Length))));
        bytes.CopyTo(_held.AsSpan(_heldLength));
        _heldLength += bytes.Length;
    }

    private JsonToken Malformed(ReadOnlySpan<byte> input, int start, int end, ref int at)
    {
        var bytes = Held;
        (_expected, _heldLength) = (Expected.Nothing, 0);
        at = input.Length;
        return new JsonToken { Kind = JsonTokenKind.Malformed, Bytes = bytes, IsHeld = bytes.Length > 0, Start = start, End = bytes.Length > 0 ? start : end };
    }

    // True: ended, and 'at' is after the quote. False: more is needed. Null: a byte that no string has.
    private bool? EndOfText(ReadOnlySpan<byte> input, ref int at)
    {
        while (at < input.Length)
        {
            if (_escape > 0)
            {
                if (!Escaped(input[at])) return null;
                at++;
                continue;
            }

            var found = input[at..].IndexOfAny(InString);
            if (found < 0)
            {
                at = input.Length;
                return false;
            }

            at += found;
            if (input[at] < 0x20) return null;
            if (input[at++] == '"') return true;
            _escape = 1;
        }

        return false;
    }

    private bool Escaped(byte b)
    {
        if (_escape == 1)
        {
            if (b is not ((byte)'"' or (byte)'\\' or (byte)'/' or (byte)'b' or (byte)'f' or (byte)'n' or (byte)'r' or (byte)'t' or (byte)'u')) return false;
            _escape = b == 'u' ? 5 : 0;
            return true;
        }

        if (!char.IsAsciiHexDigit((char)b)) return false;
        _escape = _escape == 2 ? 0 : _escape - 1;
        return true;
    }

    private bool? EndOfWord(ReadOnlySpan<byte> input, ref int at)
    {
        var found = _partial == Partial.Number ? input[at..].IndexOfAnyExcept(InNumber) : input[at..].IndexOfAnyExceptInRange((byte)'a', (byte)'z');
        at = found < 0 ? input.Length : at + found;
        return found >= 0;
    }
}
