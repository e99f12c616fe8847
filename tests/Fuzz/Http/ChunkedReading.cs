using Cheops.Proto.Http;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>What decoding a body gave: the last step, and all that came before it.</summary>
public sealed record ChunkedOutcome(ChunkedStep Step, HttpRefusal Refusal, string Data, string Trailers, int Consumed);

/// <summary>Decodes chunked bodies that arrive in pieces.</summary>
public static class ChunkedReading
{
    /// <summary>Decodes <paramref name="bytes"/>, which arrive in pieces that begin at 0 and at each of the places.</summary>
    public static ChunkedOutcome Decode(byte[] bytes, params int[] places)
    {
        var decoder = new ChunkedDecoder();
        var data = new List<byte>();
        var at = 0;
        var step = ChunkedStep.NeedMore;
        var refusal = HttpRefusal.None;
        foreach (var end in places.Where(place => place < bytes.Length).Append(bytes.Length))
        {
            do
            {
                step = decoder.Step(bytes.AsSpan(at, end - at), out var consumed, out var start, out var length, out refusal);
                if (step == ChunkedStep.Data) data.AddRange(bytes.AsSpan(at + start, length));
                at += consumed;
            }
            while (step == ChunkedStep.Data);

            if (step != ChunkedStep.NeedMore) break;
            if (at != end) throw new InvalidOperationException("the decoder needs more but has left input");
        }

        var outcome = new ChunkedOutcome(step, refusal, HeadText.Text([.. data]), step == ChunkedStep.Done ? HeadText.Text(decoder.Trailers) : "", at);
        decoder.Reset();
        return outcome;
    }
}
