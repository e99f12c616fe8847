using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class TargetTranslatorTests
{
    [Theory]
    [InlineData("/v1/orders/7", "/v1/orders/1099511627777")]
    [InlineData("/v1/orders/7/", "/v1/orders/1099511627777/")]
    [InlineData("/v1/orders/7/pay/now?x=%41", "/v1/orders/1099511627777/pay/now?x=%41")]
    [InlineData("/v1/orders/8/lines/3", "/v1/orders/1099511627778/lines/1099511627779")]
    [InlineData("/v1/orders/9/lines/3", "/v1/orders/9/lines/1099511627779")]
    [InlineData("/ns/blue%20sky/pods/web-site1", "/ns/blue%20sky/pods/web")]
    [InlineData("http://h:1/v1/orders/7?a", "http://h:1/v1/orders/1099511627777?a")]
    [InlineData("/v1/orders?marker=7&limit=7", "/v1/orders?marker=1099511627777&limit=7")]
    [InlineData("/v1/orders?id=7&uuid=8&id=7", "/v1/orders?id=1099511627777&uuid=1099511627778&id=1099511627777")]
    [InlineData("/v1/items?order_id=7", "/v1/items?order_id=1099511627777")]
    [InlineData("/v1/items?orderId=7&tag_id=a+%22b%22", "/v1/items?orderId=1099511627777&tag_id=red%2Fblue")]
    [InlineData("/v1/orders?item=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "/v1/orders?item=11111111-1111-4111-8111-111111111111")]
    [InlineData("/v1/orders?imageRef=bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb", "/v1/orders?imageRef=22222222-2222-4222-8222-222222222222")]
    public void Translates_paths_and_queries(string local, string meta)
    {
        Assert.Equal(meta, Translate(local, Direction.ToMeta));
        var back = Translate(meta, Direction.ToLocal);
        Assert.Equal(local.Replace("a+%22b", "a%20%22b", StringComparison.Ordinal), back);
    }

    [Theory]
    [InlineData("/v1/%6Frders/%37", "/v1/%6Frders/1099511627777")]
    [InlineData("/v1/tags/a%20%22%62%22", "/v1/tags/red%2Fblue")]
    [InlineData("/@Site1%26Site2/v1/orders/7", "/@Site1%26Site2/v1/orders/1099511627777")]
    [InlineData("/v1/orders?%6Darker=%37", "/v1/orders?%6Darker=1099511627777")]
    public void No_spelling_evades(string local, string meta) => Assert.Equal(meta, Translate(local, Direction.ToMeta));

    [Theory]
    [InlineData("*")]
    [InlineData("/")]
    [InlineData("")]
    [InlineData("?id=7")]
    [InlineData("/v1/orders")]
    [InlineData("/v1/orders/77?x=7&=7&id=&id&&")]
    [InlineData("/v1/orders//7")]
    [InlineData("/v1/orders/7%2F")]
    [InlineData("/v1/other/7?name=7&limit=7&idx=7&my_id=7&id=7")]
    [InlineData("/v1/orders/%3")]
    [InlineData("example.org:443")]
    [InlineData("http://h?id=7")]
    [InlineData("urn:x:/v1/orders/7")]
    public void Leaves_what_is_no_id(string target) => Assert.Equal(target, Translate(target, Direction.ToMeta));

    [Fact]
    public void By_convention_the_collection_tells_whose_id_it_is()
    {
        var store = ProfileSet.Combine([], out _).For("store").Named("store");
        var ids = new IdPairs(("store", "/orders", "100", "7"), ("store", "/items", "200", "7"), ("store", "/orders/100/lines", "300", "1"));
        Assert.Equal("/orders/100", Translate("/orders/7", Direction.ToMeta, store, ids));
        Assert.Equal("/items/200?order_id=100", Translate("/items/7?order_id=7", Direction.ToMeta, store, ids));
        Assert.Equal("/orders/100/lines/300", Translate("/orders/7/lines/1", Direction.ToMeta, store, ids));
        Assert.Equal("/orders/7/lines/1", Translate("/orders/100/lines/300", Direction.ToLocal, store, ids));
        Assert.Equal("/others/7", Translate("/others/7", Direction.ToMeta, store, ids));
        Assert.Equal("https://h/@A/orders/100/x", Translate("https://h/@A/orders/7/x", Direction.ToMeta, store, ids));
    }

    [Fact]
    public void Any_bytes_are_translated_there_and_back() => Gen.OneOf(
        "/v1/orders", "/7", "/8", "/9", "/lines", "/3", "/v1/tags", "/ns", "/x", "/pods", "/web-site1", "?", "&", "id=7", "marker=8", "order_id=7", "=", "#", "%", "%zz", "é", "/", "//", "http://h")
        .Array[0, 8].Select(string.Concat).Sample(target => Assert.Equal(target, Translate(Translate(target, Direction.ToMeta), Direction.ToLocal)), iter: 20_000);

    private static string Translate(string target, Direction direction, ServiceProfile? service = null, IIdMap? ids = null)
    {
        var output = new ArrayBufferWriter<byte>();
        var bytes = Encoding.UTF8.GetBytes(target);
        var changed = new TargetTranslator(service ?? IdPairs.Shop, direction, ids ?? IdPairs.Some).TryTranslate(bytes, output);
        Assert.Equal(changed, output.WrittenCount > 0);
        return changed ? Encoding.UTF8.GetString(output.WrittenSpan) : target;
    }
}
