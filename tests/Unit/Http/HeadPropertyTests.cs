using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;
using CsCheck;

namespace Cheops.Tests.Unit.Http;

/// <summary>Random heads, good and bad; a failure prints its seed.</summary>
public sealed class HeadPropertyTests
{
    private const string Token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    // Names with "zz-" are no known fields and no lookalikes of any.
    private static readonly Gen<string> Name = Gen.Char[Token].Array[0, 12].Select(tail => "zz-" + new string(tail));

    private static readonly Gen<string> Value =
        Gen.OneOf(Gen.Char[' ', '~'], Gen.Char['\u0080', '\u00FF'], Gen.Const('\t')).Array[0, 30].Select(one => new string(one).Trim(' ', '\t'));

    private static readonly Gen<(string Name, string Value)[]> FieldList = Gen.Select(Name, Value).Array[0, 40];

    private static readonly Gen<string> Target = Gen.Char['!', '~'].Where(c => c != '#').Array[0, 40].Select(tail => "/" + new string(tail));

    private static readonly Gen<string> White = Gen.OneOf("", " ", "\t", "  \t");

    [Fact]
    public void Any_valid_request_is_read_as_it_was_written()
    {
        var method = Gen.OneOf(Gen.OneOf("GET", "POST", "PUT", "DELETE", "PATCH"), Gen.Char[Token].Array[1, 32].Select(one => new string(one))).Where(one => one != "CONNECT");
        var framing = Gen.OneOf(
            Gen.Const((Line: "", Summary: "None")),
            Gen.Long[0, 999_999_999_999_999_999].Select(length => (Line: $"Content-Length: {length}\r\n", Summary: $"Length:{length}")),
            Gen.Const((Line: "Transfer-Encoding: chunked\r\n", Summary: "Chunked")));
        Gen.Select(method, Target, FieldList, framing, White, Gen.Int[0, 4000].Array[0, 5]).Sample((verb, target, fields, body, white, places) =>
        {
            var lines = string.Concat(fields.Select(one => $"{one.Name}:{white}{one.Value}{white}\r\n"));
            var bytes = HeadText.Bytes($"{verb} {target} HTTP/1.1\r\n{body.Line}{lines}Host: h\r\n\r\n");
            var head = new RequestHead();
            var whole = HeadReading.Whole(bytes, head);
            Assert.Equal(ParseStatus.Done, whole.Status);
            Assert.Equal($"{verb} {target} 1.1 host=h {body.Summary} keep", HeadText.Summary(head));
            Assert.Equal(fields, Others(head));
            ForwardedRequest.Check(head);
            Assert.Equal(whole, HeadReading.Segmented(bytes, head, [.. places.Distinct().Order()]));
        });
    }

    [Fact]
    public void Any_valid_response_is_read_as_it_was_written() =>
        Gen.Select(Gen.Int[200, 999], Value, FieldList, Gen.Int[0, 4000].Array[0, 5]).Sample((status, reason, fields, places) =>
        {
            var lines = string.Concat(fields.Select(one => $"{one.Name}: {one.Value}\r\n"));
            var bytes = HeadText.Bytes($"HTTP/1.1 {status} {reason}\r\n{lines}Content-Length: 0\r\n\r\n");
            var head = new ResponseHead();
            var whole = HeadReading.Whole(bytes, head);
            Assert.Equal((ParseStatus.Done, status, reason), (whole.Status, head.Status, HeadText.Text(head.Reason)));
            Assert.Equal(fields, Others(head));
            RelayedResponse.Check(head);
            Assert.Equal(whole, HeadReading.Segmented(bytes, head, [.. places.Distinct().Order()]));
        });

    /// <summary>Whatever the bytes, and however they arrive, there is an answer, and it is the same.</summary>
    [Fact]
    public void Any_bytes_have_an_answer()
    {
        var pieces = Gen.OneOf(
            Gen.Byte.Array[0, 8],
            Gen.OneOf("GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "Host: a\r\n", "\r\n", "\n", "\r", ":", " ", "\0", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n").Select(HeadText.Bytes));
        var bytes = pieces.Array[1, 12].Select(one => one.SelectMany(piece => piece).ToArray()).Where(one => one.Length > 0);
        Gen.Select(bytes, Gen.Int[1, 200]).Sample((input, place) =>
        {
            foreach (var head in new MessageHead[] { new RequestHead(), new ResponseHead() })
            {
                var whole = HeadReading.Whole(input, head);
                Assert.Equal(whole, HeadReading.Segmented(input, head, place));
                var (grown, arrived) = HeadReading.Growing(input, head, [Math.Min(place, input.Length), input.Length], segmented: true);
                Assert.Equal(whole.Status, grown.Status);
                if (arrived == input.Length && whole.Status == ParseStatus.Done) Assert.Equal(whole, grown);
            }
        });
    }

    private static (string, string)[] Others(MessageHead head)
    {
        var fields = new List<(string, string)>();
        foreach (ref readonly var line in head.Fields)
        {
            if (line.Known == KnownField.Other) fields.Add((HeadText.Text(head.Name(line)), HeadText.Text(head.Value(line))));
        }

        return [.. fields];
    }
}
