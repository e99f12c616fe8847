using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Tests.Fuzz.Http;
using CsCheck;

namespace Cheops.Tests.Unit.Http;

public sealed class ScopePrefixTests
{
    [Theory]
    [InlineData("/@Site2/v2/images?x=/@y", "Site2", "/v2/images?x=/@y")]
    [InlineData("/@Site2", "Site2", "")]
    [InlineData("/@Site2/", "Site2", "/")]
    [InlineData("/@Site2?x", "Site2", "?x")]
    [InlineData("/@Site1&Site2/a", "Site1&Site2", "/a")]
    [InlineData("/@Site1;Site2/a", "Site1;Site2", "/a")]
    [InlineData("/@glance:Site2,nova:Site1/a", "glance:Site2,nova:Site1", "/a")]
    [InlineData("/@%7Bglance%3A%20Site2%7d/a", "{glance: Site2}", "/a")]
    [InlineData("/@glance%2FSite2/a", "glance/Site2", "/a")]
    [InlineData("/%40Site2/a%2Fb", "Site2", "/a%2Fb")]
    [InlineData("/@a%25b/", "a%b", "/")]
    [InlineData("/@@/", "@", "/")]
    public void Is_taken_off(string target, string scope, string rest)
    {
        var bytes = HeadText.Bytes(target);
        Assert.Equal(ScopePrefixResult.Found, ScopePrefix.Split(bytes, out var found, out var restStart));
        Assert.Equal((scope, rest), (found, target[restStart..]));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("*")]
    [InlineData("")]
    [InlineData("/a/@Site2/")]
    [InlineData("//@Site2/")]
    [InlineData("/?@Site2")]
    [InlineData("/%41Site2/")]
    [InlineData("/%4")]
    [InlineData("@Site2/")]
    public void Is_absent(string target)
    {
        Assert.Equal(ScopePrefixResult.Absent, ScopePrefix.Split(HeadText.Bytes(target), out var scope, out var restStart));
        Assert.Equal(("", 0), (scope, restStart));
    }

    [Theory]
    [InlineData("/@")]
    [InlineData("/@/a")]
    [InlineData("/@?a")]
    [InlineData("/%40/a")]
    [InlineData("/@a%/b")]
    [InlineData("/@a%4/b")]
    [InlineData("/@a%4g/b")]
    [InlineData("/@a%-1/b")]
    [InlineData("/@a%00/b")]
    [InlineData("/@a%0d%0aX/b")]
    [InlineData("/@a%7f/b")]
    [InlineData("/@%C3%A9/b")]
    [InlineData("/@%c0%af/b")]
    public void Is_invalid(string target) =>
        Assert.Equal(ScopePrefixResult.Invalid, ScopePrefix.Split(HeadText.Bytes(target), out _, out _));

    [Fact]
    public void Is_bounded_after_decoding()
    {
        var longest = new string('a', Bounds.ScopeLengthMax);
        Assert.Equal(ScopePrefixResult.Found, ScopePrefix.Split(HeadText.Bytes("/@" + longest + "/"), out var scope, out _));
        Assert.Equal(longest, scope);
        Assert.Equal(ScopePrefixResult.Invalid, ScopePrefix.Split(HeadText.Bytes("/@" + longest + "a/"), out _, out _));
        var encoded = string.Concat(Enumerable.Repeat("%61", Bounds.ScopeLengthMax));
        Assert.Equal(ScopePrefixResult.Found, ScopePrefix.Split(HeadText.Bytes("/@" + encoded), out scope, out _));
        Assert.Equal(longest, scope);
        Assert.Equal(ScopePrefixResult.Invalid, ScopePrefix.Split(HeadText.Bytes("/@" + encoded + "a"), out _, out _));
    }

    [Fact]
    public void Any_scope_passes_through_a_path_and_the_rest_stays_byte_for_byte() =>
        Gen.Select(Gen.Char[' ', '~'].Array[1, 60], Gen.Char['!', '~'].Array[0, 30], Gen.Bool).Sample((scope, tail, always) =>
        {
            var encoded = string.Concat(scope.Select(c => always || c is '%' or '/' or '?' or '#' or ' ' ? $"%{(int)c:X2}" : c.ToString()));
            var rest = "/" + new string(tail);
            var target = "/@" + encoded + rest;
            return ScopePrefix.Split(HeadText.Bytes(target), out var found, out var restStart) == ScopePrefixResult.Found
                && found == new string(scope) && target[restStart..] == rest;
        });

    [Fact]
    public void Any_target_has_an_answer_within_it() => Gen.Byte.Array[0, 40].Sample(bytes =>
    {
        byte[] target = [.. "/@"u8, .. bytes];
        var result = ScopePrefix.Split(target, out var scope, out var restStart);
        return restStart >= 0 && restStart <= target.Length && (result != ScopePrefixResult.Found || (scope.Length > 0 && scope.All(c => c is >= ' ' and <= '~')));
    });
}
