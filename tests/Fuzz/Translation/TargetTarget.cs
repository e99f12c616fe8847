using System.Buffers;
using System.Text;
using Cheops.Agent.Translation;

namespace Cheops.Tests.Fuzz.Translation;

/// <summary>Targets and paths: normal spelling is normal, and nothing but ids changes.</summary>
public sealed class TargetTarget : IFuzzTarget
{
    public string Name => "target";

    public string Purpose => "any target is translated there and back, and any path has one normal spelling";

    public IEnumerable<byte[]> Seeds =>
        from text in new[] { "/v2/images/abc123", "/v2/images/abc/file?marker=abc&tag_id=%61bc", "http://h:1/@S/v2/tags/a%62c#f", "/%76%32/images//abc/../x", "*", "//h/v2/tags/abc?id=" }
        select Encoding.ASCII.GetBytes(text);

    public IReadOnlyList<byte[]> Words { get; } =
        [.. new[] { "/", "//", "/v2", "/images", "/tags", "/abc123", "%2F", "%2f", "%41", "%", "?", "#", "&", "id=abc", "image_id=abc", "marker=", "=", "..", "http://", "/@S" }.Select(Encoding.ASCII.GetBytes)];

    public int Run(byte[] input)
    {
        var normal = Normal(input);
        FuzzException.Demand(normal.AsSpan().SequenceEqual(Normal(normal)), "a normal path has another normal spelling");
        FuzzException.Equal(input.Count(b => b == '/'), normal.Count(b => b == '/'), "segments");

        var there = Translate(input, Direction.ToMeta);
        var back = Translate(there, Direction.ToLocal);
        FuzzException.Demand(Normal(back).AsSpan().SequenceEqual(Normal(Translate(Translate(back, Direction.ToMeta), Direction.ToLocal))), "another way back");
        FuzzException.Equal(input.Count(b => b is (byte)'/' or (byte)'&'), there.Count(b => b is (byte)'/' or (byte)'&'), "delimiters");
        return HashCode.Combine(input.Length.CompareTo(there.Length), there.AsSpan().SequenceEqual(input), normal.AsSpan().SequenceEqual(input), Math.Min(6, input.Count(b => b == '/')));
    }

    private static byte[] Normal(byte[] path) => PathNormalizer.Normalize(path, new byte[PathNormalizer.SizeMax(path.Length)]).ToArray();

    private static byte[] Translate(byte[] target, Direction direction)
    {
        var output = new ArrayBufferWriter<byte>();
        return new TargetTranslator(FuzzIds.Service, direction, new FuzzIds()).TryTranslate(target, output) ? output.WrittenSpan.ToArray() : target;
    }
}
