using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;

namespace Cheops.Tests.Unit.Http;

/// <summary>Reads heads in every way that a connection could come to read them.</summary>
internal static class HeadReading
{
    /// <summary>What one way of reading gave.</summary>
    internal readonly record struct Outcome(ParseStatus Status, HttpRefusal Refusal, long Consumed, string Head);

    public static Outcome Whole(byte[] bytes, MessageHead head) => Read(new HeadParser(), bytes, head);

    /// <summary>All at once, in segments.</summary>
    public static Outcome Segmented(byte[] bytes, MessageHead head, params int[] places)
    {
        var status = new HeadParser().Parse(HeadText.Split(bytes, places), head, out var consumed, out var refusal);
        return new Outcome(status, refusal, consumed, status == ParseStatus.Done ? HeadText.Everything(head) : "");
    }

    /// <summary>
    /// Piece by piece: each call gets all that has arrived, as one segment or as many. Ends at the first answer other than
    /// <see cref="ParseStatus.NeedMore"/>, and gives how many bytes had arrived then.
    /// </summary>
    public static (Outcome Outcome, int Arrived) Growing(byte[] bytes, MessageHead head, IEnumerable<int> arrivals, bool segmented)
    {
        var parser = new HeadParser();
        var arrived = new List<int>();
        Outcome outcome = default;
        foreach (var count in arrivals)
        {
            arrived.Add(count);
            var input = bytes[..count];
            var status = segmented
                ? parser.Parse(HeadText.Split(input, [.. arrived]), head, out var consumed, out var refusal)
                : parser.Parse(input, head, out consumed, out refusal);
            outcome = new Outcome(status, refusal, consumed, status == ParseStatus.Done ? HeadText.Everything(head) : "");
            if (status != ParseStatus.NeedMore) break;
        }

        return (outcome, arrived[^1]);
    }

    private static Outcome Read(HeadParser parser, byte[] bytes, MessageHead head)
    {
        var status = parser.Parse(bytes, head, out var consumed, out var refusal);
        return new Outcome(status, refusal, consumed, status == ParseStatus.Done ? HeadText.Everything(head) : "");
    }

    /// <summary>Places at which to split: all of a short head, some of a long one, its last bytes among them.</summary>
    public static IEnumerable<int> Places(int length) =>
        length <= 2048
            ? Enumerable.Range(1, length - 1)
            : Enumerable.Range(1, length - 1).Where(place => place < 32 || place > length - 16 || place % 4999 == 0);
}
