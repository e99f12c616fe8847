using System.Buffers;

namespace Cheops.Proto.Http;

/// <summary>What a parser found in what it was given.</summary>
public enum ParseStatus : byte
{
    /// <summary>Nothing is wrong so far, and more is needed.</summary>
    NeedMore,
    /// <summary>A whole head.</summary>
    Done,
    /// <summary>Refused; nothing after this point can be trusted.</summary>
    Refused,
}

/// <summary>
/// Finds and parses heads at the start of what a connection has read. The caller owns the input: after
/// <see cref="ParseStatus.NeedMore"/> it calls again with the same bytes and more after them; after
/// <see cref="ParseStatus.Done"/> it advances by the number of bytes consumed.
/// </summary>
/// <remarks>Each byte is searched once, however small the pieces are in which it arrives.</remarks>
public struct HeadParser
{
    private int _searched;
    private int _skipped;

    /// <summary>Parses a head into <paramref name="head"/>.</summary>
    /// <param name="input">All that was read and not consumed.</param>
    /// <param name="head">Where the head goes.</param>
    /// <param name="consumed">Bytes that the head took, empty lines before it included.</param>
    /// <param name="refusal">Why it was refused.</param>
    public ParseStatus Parse(in ReadOnlySequence<byte> input, MessageHead head, out long consumed, out HttpRefusal refusal)
    {
        if (input.IsSingleSegment) return Parse(input.FirstSpan, head, out consumed, out refusal);

        var length = (int)Math.Min(input.Length, Bounds.HeadSizeMax + 5);
        var whole = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            input.Slice(0, length).CopyTo(whole);
            return Parse(whole.AsSpan(0, length), head, out consumed, out refusal);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    /// <summary>Parses a head into <paramref name="head"/>.</summary>
    /// <param name="input">All that was read and not consumed.</param>
    /// <param name="head">Where the head goes.</param>
    /// <param name="consumed">Bytes that the head took, empty lines before it included.</param>
    /// <param name="refusal">Why it was refused.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> input, MessageHead head, out long consumed, out HttpRefusal refusal)
    {
        consumed = 0;
        refusal = HttpRefusal.None;

        // An empty line before a request line is what old clients leave behind a body (RFC 9112 2.2). One is passed over.
        if (_skipped == 0 && _searched <= 2 && input.StartsWith("\r\n"u8)) _skipped = 2;
        var from = Math.Max(_skipped, _searched - 3);
        var found = input.Length > from ? input[from..].IndexOf("\r\n\r\n"u8) : -1;
        if (found < 0) return Incomplete(input, out refusal);

        var end = from + found + 4;
        if (end - _skipped > Bounds.HeadSizeMax)
        {
            refusal = HttpRefusal.HeadTooLarge;
            return ParseStatus.Refused;
        }

        refusal = head.Parse(input[_skipped..end]);
        consumed = end;
        this = default;
        return refusal == HttpRefusal.None ? ParseStatus.Done : ParseStatus.Refused;
    }

    // A head that has not ended is watched for what could keep it from ever ending, and for its size.
    private ParseStatus Incomplete(ReadOnlySpan<byte> input, out HttpRefusal refusal)
    {
        refusal = HttpRefusal.None;
        for (var i = Math.Max(_skipped, _searched); i < input.Length; i++)
        {
            var next = input[i..].IndexOfAny((byte)'\n', (byte)'\r');
            if (next < 0) break;
            i += next;
            if (input[i] == '\n' && (i == _skipped || input[i - 1] != '\r')) refusal = HttpRefusal.BareLineFeed;
            else if (input[i] == '\r' && i + 1 < input.Length && input[i + 1] != '\n') refusal = HttpRefusal.BareCarriageReturn;
            if (refusal != HttpRefusal.None) return ParseStatus.Refused;
        }

        // The last byte is looked at again: a CR there is judged by what follows it.
        _searched = Math.Max(0, input.Length - 1);
        if (input.Length - _skipped > Bounds.HeadSizeMax)
            refusal = input.Slice(_skipped, Bounds.HeadSizeMax).Contains((byte)'\n') ? HttpRefusal.HeadTooLarge : HttpRefusal.TargetTooLong;
        return refusal == HttpRefusal.None ? ParseStatus.NeedMore : ParseStatus.Refused;
    }
}
