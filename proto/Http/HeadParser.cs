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
    // An end of a head that straddles what was searched before begins in its last three bytes.
    private const int Overlap = 3;

    // More of the input than a head and what may stand before it is never looked at.
    private const int WindowMargin = 8;

    private int _searched;
    private int _skipped;
    private bool _lineEnded;

    /// <summary>Parses a head into <paramref name="head"/>.</summary>
    /// <param name="input">All that was read and not consumed.</param>
    /// <param name="head">Where the head goes.</param>
    /// <param name="consumed">Bytes that the head took, an empty line before it included.</param>
    /// <param name="refusal">Why it was refused.</param>
    public ParseStatus Parse(in ReadOnlySequence<byte> input, MessageHead head, out long consumed, out HttpRefusal refusal)
    {
        if (input.IsSingleSegment) return Parse(input.FirstSpan, head, out consumed, out refusal);

        consumed = 0;
        var start = Math.Max(0, _searched - Overlap);
        var length = (int)Math.Min(input.Length, head.SizeMax + WindowMargin) - start;
        var window = ArrayPool<byte>.Shared.Rent(length);
        input.Slice(start, length).CopyTo(window);
        var status = Find(window.AsSpan(0, length), start, head, out var end, out refusal);
        ArrayPool<byte>.Shared.Return(window);
        if (status != ParseStatus.Done) return status;
        return Conclude(head.Parse(input.Slice(_skipped, end - _skipped)), end, out consumed, out refusal);
    }

    /// <summary>Parses a head into <paramref name="head"/>.</summary>
    /// <param name="input">All that was read and not consumed.</param>
    /// <param name="head">Where the head goes.</param>
    /// <param name="consumed">Bytes that the head took, an empty line before it included.</param>
    /// <param name="refusal">Why it was refused.</param>
    public ParseStatus Parse(ReadOnlySpan<byte> input, MessageHead head, out long consumed, out HttpRefusal refusal)
    {
        consumed = 0;
        if (input.Length > head.SizeMax + WindowMargin) input = input[..(head.SizeMax + WindowMargin)];
        var start = Math.Max(0, _searched - Overlap);
        var status = Find(input[start..], start, head, out var end, out refusal);
        return status == ParseStatus.Done ? Conclude(head.Parse(input[_skipped..end]), end, out consumed, out refusal) : status;
    }

    private ParseStatus Conclude(HttpRefusal found, int end, out long consumed, out HttpRefusal refusal)
    {
        this = default;
        refusal = found;
        consumed = end;
        return refusal == HttpRefusal.None ? ParseStatus.Done : ParseStatus.Refused;
    }

    // The window is the input from start on; what is before it was searched.
    private ParseStatus Find(ReadOnlySpan<byte> window, int start, MessageHead head, out int end, out HttpRefusal refusal)
    {
        refusal = HttpRefusal.None;
        end = 0;

        // An empty line before a request line is what old clients leave behind a body (RFC 9112 2.2). One is passed
        // over. Before a status line nothing is: what stands there belongs to no answer.
        if (head.IsRequest && start == 0 && _skipped == 0 && window.StartsWith("\r\n"u8)) _skipped = 2;
        var from = Math.Min(Math.Max(0, _skipped - start), window.Length);
        var found = window[from..].IndexOf("\r\n\r\n"u8);
        if (found < 0) return Incomplete(window, start, head, out refusal);

        end = start + from + found + 4;
        if (end - _skipped <= head.SizeMax) return ParseStatus.Done;
        refusal = TooLarge(window[from..(from + found)], head.IsRequest);
        return ParseStatus.Refused;
    }

    // A head that has not ended is watched for what could keep it from ever ending, and for its size.
    private ParseStatus Incomplete(ReadOnlySpan<byte> window, int start, MessageHead head, out HttpRefusal refusal)
    {
        refusal = HttpRefusal.None;
        for (var i = Math.Max(_skipped, _searched) - start; i < window.Length; i++)
        {
            var next = window[i..].IndexOfAny((byte)'\n', (byte)'\r');
            if (next < 0) break;
            i += next;
            if (window[i] == '\n')
            {
                _lineEnded = true;
                if (start + i == _skipped || window[i - 1] != '\r') refusal = HttpRefusal.BareLineFeed;
            }
            else if (i + 1 < window.Length && window[i + 1] != '\n')
            {
                refusal = HttpRefusal.BareCarriageReturn;
            }

            if (refusal != HttpRefusal.None) return ParseStatus.Refused;
        }

        // The last byte is looked at again: a CR there is judged by what follows it.
        var length = start + window.Length;
        _searched = Math.Max(0, length - 1);
        if (length - _skipped <= head.SizeMax) return ParseStatus.NeedMore;
        refusal = TooLarge(default, head.IsRequest);
        return ParseStatus.Refused;
    }

    // A request whose first line alone fills the bound has a target that is too long, to whom sent it.
    private readonly HttpRefusal TooLarge(ReadOnlySpan<byte> searched, bool isRequest) =>
        isRequest && !_lineEnded && !searched.Contains((byte)'\n') ? HttpRefusal.TargetTooLong : HttpRefusal.HeadTooLarge;
}
