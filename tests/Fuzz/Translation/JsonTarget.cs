using System.Buffers;
using System.Text;
using System.Text.Json;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;

namespace Cheops.Tests.Fuzz.Translation;

/// <summary>
/// Bodies: any split gives the same; what System.Text.Json reads stays what it reads, with as many tokens; a body that
/// nothing is asked of passes byte for byte.
/// </summary>
public sealed class JsonTarget : IFuzzTarget
{
    private static readonly ResourceProfile Images = FuzzIds.Service.Resources["images"];
    private static readonly BodyChanges Changes = new([FieldPath.Parse("a")!, FieldPath.Parse("image.tags[]")!], FieldPath.Parse("image.id"), "\"x\""u8.ToArray());
    private static readonly BodyChanges NoChanges = new([FieldPath.Parse("nothing.is[].called.so")!]);

    public string Name => "json";

    public string Purpose => "bodies are translated and edited alike in any split, and JSON stays JSON";

    public IEnumerable<byte[]> Seeds =>
        from text in new[]
        {
            """{"image": {"id": "abc123", "tags": ["one", "two"], "self": "/v2/images/abc123/file?tag_id=abc"}, "a": [1, -2.5e3, true]}""",
            """{"images":[{"id":1234,"x":null},{"image":{"id":"\u0061bc\/"}}],"next":"http://h/v2/images?marker=abc"}""", "[[{\"id\":123}]] 7 \"a\"", "{\"a\":1,\"image\":{}}",
        }
        select Encoding.UTF8.GetBytes(text);

    public IReadOnlyList<byte[]> Words { get; } =
    [
        .. new[]
        {
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "\\ud800", "\"image\":", "\"images\":[", "\"id\":", "\"items\":", "\"a\":", "\"tags\":[", "\"/v2/images/abc\"", "1234", "-0.5", "1e9",
            "true", "null", "\n", "\"object\":", "\"/@S/v2/tags/abc?marker=abc\"", new string('x', 300),
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public int Run(byte[] input)
    {
        var whole = Translate(input, [input.Length]);
        foreach (var sizes in (int[][])[[1], [2, 5], [input.Length / 2 + 1]])
            FuzzException.Demand(whole.AsSpan().SequenceEqual(Translate(input, sizes)), "another split is translated otherwise");
        var edited = Edit(input, Changes, input.Length);
        FuzzException.Demand(edited.AsSpan().SequenceEqual(Edit(input, Changes, 1)) && edited.AsSpan().SequenceEqual(Edit(input, Changes, 3)), "another split is edited otherwise");
        FuzzException.Demand(input.AsSpan().SequenceEqual(Edit(input, NoChanges, 7)), "changed though nothing was asked");
        var reader = new BodyIdReader(Images);
        reader.Feed(input);

        var tokens = Tokens(input);
        if (tokens < 0) return HashCode.Combine(-1, whole.Length == input.Length, edited.Length.CompareTo(input.Length));
        FuzzException.Equal(tokens, Tokens(whole), "tokens of a translated text");
        FuzzException.Demand(Tokens(edited) >= 0, "an edited text is none");
        return HashCode.Combine(Math.Min(tokens, 30), whole.Length.CompareTo(input.Length), edited.Length.CompareTo(input.Length), reader.ByProfile is null, reader.ByConvention is null);
    }

    // How many tokens there are; below zero for what is no JSON.
    private static int Tokens(byte[] text)
    {
        try
        {
            var reader = new Utf8JsonReader(text, new JsonReaderOptions { AllowMultipleValues = true, MaxDepth = Bounds.JsonDepthMax });
            var count = 0;
            while (reader.Read()) count++;
            return count;
        }
        catch (JsonException)
        {
            return -1;
        }
    }

    private static byte[] Translate(byte[] input, int[] sizes)
    {
        var translator = new JsonTranslator(FuzzIds.Service, Images, Direction.ToMeta, new FuzzIds());
        var output = new ArrayBufferWriter<byte>();
        for (var (at, i) = (0, 0); at < input.Length; i++)
        {
            var size = Math.Min(sizes[i % sizes.Length], input.Length - at);
            translator.Feed(input.AsSpan(at, size), output);
            at += size;
        }

        translator.Complete(output);
        return output.WrittenSpan.ToArray();
    }

    private static byte[] Edit(byte[] input, BodyChanges changes, int size)
    {
        var edit = new BodyEdit(changes);
        var output = new ArrayBufferWriter<byte>();
        for (var at = 0; at < input.Length; at += size) edit.Feed(input.AsSpan(at, Math.Min(size, input.Length - at)), output);
        edit.Complete(output);
        return output.WrittenSpan.ToArray();
    }
}
