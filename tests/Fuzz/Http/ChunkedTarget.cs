using Cheops.Proto.Http;
using static Cheops.Tests.Fuzz.FuzzException;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>Chunked bodies: however they are split the same, and as a second decoder says.</summary>
internal sealed class ChunkedTarget : IFuzzTarget
{
    public string Name => "chunked";

    public string Purpose => "chunked bodies: split or whole the same, as a second decoder says";

    public IEnumerable<byte[]> Seeds => ChunkedCases.All.Select(one => HeadText.Bytes(one.Text)).Concat(ChunkedCases.Refused.Select(one => HeadText.Bytes(one.Text)));

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[] { "\r\n", "\n", "\r", "0\r\n", "0\r\n\r\n", "\r\n\r\n", "1\r\nx\r\n", ";", "=", "\"", "\\", " ", "\t", "\0", "a", "ffffffffffffffff", "T: x\r\n", "Host: x\r\n", ":", "_", "5\r\nhello\r\n", ";a=b" }
            .Select(HeadText.Bytes),
    ];

    public int Run(byte[] input)
    {
        var whole = ChunkedReading.Decode(input);
        if (input.Length > 1)
        {
            foreach (var place in Splits.Of(input)) CheckSame(whole, ChunkedReading.Decode(input, place), $"split at {place}");
        }

        if (input.Length < 512) CheckSame(whole, ChunkedReading.Decode(input, Enumerable.Range(1, input.Length).ToArray()), "one byte at a time");
        var reference = ChunkedReference.Decode(HeadText.Text(input));
        Equal(reference is not null, whole.Step == ChunkedStep.Done, "the second decoder");
        if (reference is { } expected) Equal((expected.Data, expected.Trailers), (whole.Data, whole.Trailers), "the second decoder");
        return HashCode.Combine(whole.Step, whole.Refusal, Math.Min(whole.Data.Length, 16), Math.Min(whole.Trailers.Length, 32) / 4);
    }

    private static void CheckSame(ChunkedOutcome whole, ChunkedOutcome split, string how)
    {
        Equal((whole.Step, whole.Refusal), (split.Step, split.Refusal), how);
        Equal(whole.Data, split.Data, how);
        Equal(whole.Trailers, split.Trailers, how);
        if (whole.Step == ChunkedStep.Done) Equal(whole.Consumed, split.Consumed, how);
    }
}
