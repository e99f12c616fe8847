using System.Globalization;
using System.Text;
using Cheops.Agent.Translation;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class PathNormalizerTests
{
    [Theory]
    [InlineData("/v2/images/5e1c", "/v2/images/5e1c")]
    [InlineData("/v2/im%61ges/5E1C", "/v2/images/5E1C")]
    [InlineData("/%7euser/%2f/%2F", "/~user/%2F/%2F")]
    [InlineData("/system%3anode/a%40b", "/system:node/a@b")]
    [InlineData("/a/%2e%2E/./..//b/", "/a/.././..//b/")]
    [InlineData("/\"<é>", "/%22%3C%C3%A9%3E")]
    [InlineData("/%c3%A9", "/%C3%A9")]
    [InlineData("/100%/%4/%zz/%", "/100%25/%254/%25zz/%25")]
    [InlineData("/%7%37", "/%2577")]
    [InlineData("/%2541", "/%2541")]
    [InlineData("", "")]
    public void Gives_one_spelling(string path, string normal) => Assert.Equal(normal, Normalize(path));

    [Fact]
    public void Every_spelling_of_a_path_gives_the_same()
    {
        var segments = Gen.Char[' ', '~'].Where(c => c is not ('/' or '%')).Array[1, 6].Array[1, 4];
        Gen.Select(segments, Gen.Int).Sample((path, seed) =>
        {
            var plain = string.Concat(path.Select(segment => "/" + new string(segment)));
            var random = new Random(seed);
            var spelled = string.Concat(plain.Select(c => c == '/' ? "/" : random.Next(3) switch
            {
                0 => string.Create(CultureInfo.InvariantCulture, $"%{(int)c:X2}"),
                1 => string.Create(CultureInfo.InvariantCulture, $"%{(int)c:x2}"),
                _ => c.ToString(),
            }));
            Assert.Equal(Normalize(plain), Normalize(spelled));
            Assert.Equal(Normalize(plain), Normalize(Normalize(spelled)));
        });
    }

    [Fact]
    public void A_normal_path_costs_no_allocation_and_no_copy()
    {
        var path = "/api/v1/namespaces/default/pods/web-1"u8;
        Span<byte> none = [];
        Assert.True(PathNormalizer.Normalize(path, none) == path);
        Assert.Equal(0, Allocations.LeastOf(static () => PathNormalizer.Normalize("/api/v1/namespaces/default/pods/web-1"u8, [])));
        Assert.True(PathNormalizer.IsPlain(path));
        Assert.False(PathNormalizer.IsPlain("/a%41"u8));
    }

    private static string Normalize(string path)
    {
        var bytes = Encoding.UTF8.GetBytes(path);
        return Encoding.UTF8.GetString(PathNormalizer.Normalize(bytes, new byte[PathNormalizer.SizeMax(bytes.Length)]));
    }
}
