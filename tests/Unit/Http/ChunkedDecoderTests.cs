using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;
using CsCheck;

namespace Cheops.Tests.Unit.Http;

public sealed class ChunkedDecoderTests
{
    public static TheoryData<string> Accepted => [.. ChunkedCases.All.Select(one => one.Name)];

    public static TheoryData<string> Refused => [.. ChunkedCases.Refused.Select(one => one.Name)];

    [Theory, MemberData(nameof(Accepted))]
    public void Decodes_however_it_is_split(string name)
    {
        var one = ChunkedCases.All.Single(one => one.Name == name);
        var bytes = HeadText.Bytes(one.Text);
        var expected = new ChunkedOutcome(ChunkedStep.Done, HttpRefusal.None, one.Data, one.Trailers, bytes.Length);
        Assert.Equal(expected, ChunkedReading.Decode(bytes));
        Assert.Equal(expected, ChunkedReading.Decode([.. bytes, .. "GET / HTTP/1.1\r\n"u8]));
        Assert.Equal(expected, ChunkedReading.Decode(bytes, Enumerable.Range(1, bytes.Length).ToArray()));
        foreach (var place in HeadReading.Places(bytes.Length))
        {
            Assert.Equal(expected, ChunkedReading.Decode(bytes, place));
            Assert.Equal(ChunkedStep.NeedMore, ChunkedReading.Decode(bytes[..place]).Step);
        }
    }

    [Theory, MemberData(nameof(Refused))]
    public void Is_refused_however_it_is_split(string name)
    {
        var one = ChunkedCases.Refused.Single(one => one.Name == name);
        var bytes = HeadText.Bytes(one.Text);
        var whole = ChunkedReading.Decode(bytes);
        Assert.Equal((ChunkedStep.Refused, one.Refusal), (whole.Step, whole.Refusal));
        foreach (var place in HeadReading.Places(bytes.Length))
        {
            var split = ChunkedReading.Decode(bytes, place);
            Assert.Equal((whole.Step, whole.Refusal, whole.Data), (split.Step, split.Refusal, split.Data));
        }
    }

    [Fact]
    public void Once_refused_it_stays_refused()
    {
        foreach (var one in ChunkedCases.Refused)
        {
            var decoder = new ChunkedDecoder();
            while (decoder.Step(HeadText.Bytes(one.Text), out _, out _, out _, out _) is ChunkedStep.Data)
            {
            }

            var bytes = HeadText.Bytes(one.Text);
            for (var at = 0; at < bytes.Length;)
            {
                if (decoder.Step(bytes.AsSpan(at), out var consumed, out _, out _, out _) == ChunkedStep.Refused) break;
                at += consumed;
            }

            Assert.Equal(ChunkedStep.Refused, decoder.Step("0\r\n\r\n"u8, out var taken, out _, out _, out var refusal));
            Assert.Equal((0, true), (taken, refusal != HttpRefusal.None));
            decoder.Reset();
            Assert.Equal(ChunkedStep.Done, decoder.Step("0\r\n\r\n"u8, out _, out _, out _, out _));
        }
    }

    [Fact]
    public void The_largest_chunk_is_counted_to_its_end()
    {
        var decoder = new ChunkedDecoder();
        Assert.Equal(ChunkedStep.Data, decoder.Step("fffffffffffffff\r\nx"u8, out var consumed, out var start, out var length, out _));
        Assert.Equal((18, 17, 1), (consumed, start, length));
        Assert.Equal(ChunkedStep.Data, decoder.Step("\r\n0\r\n\r\n"u8, out _, out start, out length, out _));
        Assert.Equal((0, 7), (start, length));
    }

    [Fact]
    public void Done_takes_nothing_more()
    {
        var decoder = new ChunkedDecoder();
        Assert.Equal(ChunkedStep.Done, decoder.Step("0\r\n\r\nGET"u8, out var consumed, out _, out _, out _));
        Assert.Equal(5, consumed);
        Assert.Equal(ChunkedStep.Done, decoder.Step("GET"u8, out consumed, out _, out _, out _));
        Assert.Equal(0, consumed);
    }

    [Fact]
    public void Decoding_without_trailers_allocates_nothing()
    {
        var body = HeadText.Bytes("5\r\nhello\r\n5;a=b\r\nworld\r\n0\r\n\r\n");
        var decoder = new ChunkedDecoder();
        Assert.Equal(0, Allocations.LeastOf(() =>
        {
            for (var i = 0; i < 1000; i++)
            {
                for (var at = 0; decoder.Step(body.AsSpan(at), out var consumed, out _, out _, out _) != ChunkedStep.Done;) at += consumed;
                decoder.Reset();
            }
        }));
    }

    /// <summary>What is written in chunks, with any extensions and trailers, and split anywhere, is read again.</summary>
    [Fact]
    public void What_is_encoded_is_decoded()
    {
        var chunk = Gen.Select(Gen.Byte.Array[1, 100], Gen.OneOf("", ";a", ";a=b", " ; a = \"b\\\"\"", ";a;b;c=d"));
        var trailers = Gen.OneOf("Digest: x\r\n", "Empty:\r\n", "X: a b\r\n").Array[0, 4].Select(string.Concat);
        Gen.Select(chunk.Array[0, 10], trailers, Gen.Int[1, 2000].Array[0, 6]).Sample((chunks, lines, places) =>
        {
            List<byte> encoded = [];
            Span<byte> size = stackalloc byte[HeadWriter.ChunkHeadSizeMax];
            foreach (var (data, extension) in chunks)
            {
                var written = HeadWriter.WriteChunkHead(size, data.Length);
                encoded.AddRange([.. size[..(written - 2)], .. HeadText.Bytes(extension), .. "\r\n"u8, .. data, .. "\r\n"u8]);
            }

            encoded.AddRange([.. "0\r\n"u8, .. HeadText.Bytes(lines), .. "\r\n"u8]);
            var expected = HeadText.Text([.. chunks.SelectMany(one => one.Item1)]);
            var outcome = ChunkedReading.Decode([.. encoded], [.. places.Distinct().Order()]);
            return outcome == new ChunkedOutcome(ChunkedStep.Done, HttpRefusal.None, expected, lines, encoded.Count);
        });
    }

    [Theory]
    [InlineData(0, "0\r\n")]
    [InlineData(1, "1\r\n")]
    [InlineData(255, "ff\r\n")]
    [InlineData(long.MaxValue, "7fffffffffffffff\r\n")]
    public void Chunk_heads(long size, string expected)
    {
        Span<byte> to = stackalloc byte[HeadWriter.ChunkHeadSizeMax];
        Assert.Equal(expected, HeadText.Text(to[..HeadWriter.WriteChunkHead(to, size)]));
    }

    [Fact]
    public void A_field_count_fits_into_the_trailer_section() => Assert.True(Bounds.FieldCountMax * "T: x\r\n".Length < Bounds.TrailerSizeMax);
}
