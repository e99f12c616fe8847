using System.Buffers;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;

namespace Cheops.Tests.Unit.Translation;

public sealed class JsonTranslatorTests
{
    private const string Item = "11111111-1111-4111-8111-111111111111";
    private const string LocalItem = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
    private const string Image = "22222222-2222-4222-8222-222222222222";
    private const string LocalImage = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

    [Theory]
    [InlineData("orders", """{"order": {"id": 7, "key": "7"}}""", """{"order": {"id": 1099511627777, "key": "7"}}""")]
    [InlineData("orders", """{"order":{"id":"7"}}""", """{"order":{"id":"1099511627777"}}""")]
    [InlineData("orders", """{"orders":[{"id":7},{"id":9},{"id":8}]}""", """{"orders":[{"id":1099511627777},{"id":9},{"id":1099511627778}]}""")]
    [InlineData("orders", """[{"id":7},{"order":{"id":8}}]""", """[{"id":1099511627777},{"order":{"id":1099511627778}}]""")]
    [InlineData("orders", """{"items":[{"id":7}]}""", """{"items":[{"id":1099511627777}]}""")]
    [InlineData("orders", """{"type":"ADDED","object":{"order":{"id":7}}} {"order":{"id":8}}""", """{"type":"ADDED","object":{"order":{"id":1099511627777}}} {"order":{"id":1099511627778}}""")]
    [InlineData("orders", """{"order":{"id":7,"item":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","parts":[{"item_id":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}]}}""", """{"order":{"id":1099511627777,"item":"11111111-1111-4111-8111-111111111111","parts":[{"item_id":"11111111-1111-4111-8111-111111111111"}]}}""")]
    [InlineData("orders", """{"orders":[{"image":"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"}]}""", """{"orders":[{"image":"22222222-2222-4222-8222-222222222222"}]}""")]
    [InlineData("items", """{"id":"\u0061aaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}""", """{"id":"11111111-1111-4111-8111-111111111111"}""")]
    [InlineData("items", """{"\u0069d":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","tags":["a \"b\"","c"]}""", """{"\u0069d":"11111111-1111-4111-8111-111111111111","tags":["red/blue","c"]}""")]
    [InlineData("pods", """{"kind":"PodList","metadata":{"resourceVersion":"3"},"items":[{"metadata":{"name":"web-site1"}}]}""", """{"kind":"PodList","metadata":{"resourceVersion":"3"},"items":[{"metadata":{"name":"web"}}]}""")]
    [InlineData("pods", """{"kind":"Table","rows":[{"cells":["web-site1"],"object":{"metadata":{"name":"web-site1"}}}]}""", """{"kind":"Table","rows":[{"cells":["web-site1"],"object":{"metadata":{"name":"web"}}}]}""")]
    [InlineData("tags", """{"id":"a \"b\"","uuid":"a \"b\""}""", """{"id":"red/blue","uuid":"red/blue"}""")]
    public void Translates_ids_of_resources_lists_and_references(string resource, string local, string meta)
    {
        Assert.Equal(meta, Translate(resource, Direction.ToMeta, local));
        Assert.Equal(Unescaped(local), Unescaped(Translate(resource, Direction.ToLocal, meta)));
    }

    [Theory]
    [InlineData("""{"self":"/v1/orders/7"}""", """{"self":"/v1/orders/1099511627777"}""")]
    [InlineData("""{"links":[{"href":"http://h:80/v1/orders/7/lines/3?x=1#f"}]}""", """{"links":[{"href":"http://h:80/v1/orders/1099511627777/lines/1099511627779?x=1#f"}]}""")]
    [InlineData("""{"next":"/v1/items?marker=aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa&limit=2"}""", """{"next":"/v1/items?marker=11111111-1111-4111-8111-111111111111&limit=2"}""")]
    [InlineData("""{"self":"\/v1\/orders\/7"}""", """{"self":"/v1/orders/1099511627777"}""")]
    [InlineData("""{"deep":[[[{"a":["https://h/@Site1&Site2/v1/orders/7"]}]]]}""", """{"deep":[[[{"a":["https://h/@Site1&Site2/v1/orders/1099511627777"]}]]]}""")]
    [InlineData("""["/shop/v1/orders/7", "/v1/orders/7/", "//h/v1/orders/7"]""", """["/shop/v1/orders/1099511627777", "/v1/orders/1099511627777/", "//h/v1/orders/1099511627777"]""")]
    [InlineData("""{"t":"/v1/tags/a%20%22b%22"}""", """{"t":"/v1/tags/red%2Fblue"}""")]
    public void Translates_links_wherever_they_are(string local, string meta)
    {
        Assert.Equal(meta, Translate("orders", Direction.ToMeta, local));
        Assert.Equal(meta, Translate(null, Direction.ToMeta, local));
        Assert.Equal(local.Replace("\\/", "/", StringComparison.Ordinal), Translate("orders", Direction.ToLocal, meta));
    }

    [Theory]
    [InlineData("orders", """{"id":7,"lines":[{"id":8}],"name":"7","order":{"parts":[{"id":7}],"item":7}}""")]
    [InlineData("orders", """{"order":{"id":9,"key":"7"},"items":[{"id":7}]}""")]
    [InlineData("orders", """{"order":{"id":[7,{"id":7}]}}""")]
    [InlineData("orders", """{"order":{"id":7.0}}""")]
    [InlineData("orders", """{"order":{"id":-7}}""")]
    [InlineData("orders", """{"order":{"id":"\ud800"}}""")]
    [InlineData("orders", """{"a":"orders/7","b":"x/v1/orders/7","c":"/v1/orders","d":"/v2/orders/7","e":"http://v1/orders/7","f":"/v1/orders/7x"}""")]
    [InlineData("items", """{"id":"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb","name":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}""")]
    [InlineData("orders", """7""")]
    [InlineData("orders", """ """)]
    public void Leaves_what_is_no_id(string resource, string json) => Assert.Equal(json, Translate(resource, Direction.ToMeta, json));

    [Theory]
    [InlineData("""{"order":{"id":7}""", """{"order":{"id":1099511627777}""")]
    [InlineData("""{"order":{"id":7""", """{"order":{"id":7""")]
    [InlineData("""{"orders":[{"id":7}}, {"id":7}]""", """{"orders":[{"id":1099511627777}}, {"id":7}]""")]
    [InlineData("""{"orders":[{"id":7},{"id":07},{"id":7}]}""", """{"orders":[{"id":1099511627777},{"id":07},{"id":7}]}""")]
    [InlineData("""{"orders":[{"id":7},{"id":"\x"},{"id":7}]}""", """{"orders":[{"id":1099511627777},{"id":"\x"},{"id":7}]}""")]
    [InlineData("""{"orders":[{"id":7},nil,{"id":7}]}""", """{"orders":[{"id":1099511627777},nil,{"id":7}]}""")]
    [InlineData("orders: [7]", "orders: [7]")]
    public void Passes_what_is_malformed_as_it_is(string local, string expected)
    {
        Assert.Equal(expected, Translate("orders", Direction.ToMeta, local));
        for (var size = 1; size < 9; size++) Assert.Equal(expected, Translate("orders", Direction.ToMeta, local, size));
    }

    [Fact]
    public void Tokens_past_the_bound_pass_in_any_pieces()
    {
        var longOne = "/v1/orders/7?" + new string('x', Bounds.JsonTokenSizeMax);
        var json = $$"""{"{{longOne}}":"{{longOne}}","n":{{new string('1', Bounds.JsonTokenSizeMax + 1)}},"self":"/v1/orders/7"}""";
        var expected = json.Replace("\"/v1/orders/7\"", "\"/v1/orders/1099511627777\"", StringComparison.Ordinal);
        foreach (var size in (int[])[1, 7, 1000, Bounds.JsonTokenSizeMax, json.Length]) Assert.Equal(expected, Translate("orders", Direction.ToMeta, json, size));

        var justFits = $"\"/v1/orders/7?{new string('x', Bounds.JsonTokenSizeMax - 15)}\"";
        Assert.Equal(Bounds.JsonTokenSizeMax, justFits.Length);
        foreach (var size in (int[])[1, 1000, justFits.Length]) Assert.Contains("1099511627777", Translate("orders", Direction.ToMeta, justFits, size), StringComparison.Ordinal);
    }

    [Fact]
    public void Nesting_past_the_bound_passes()
    {
        string Nested(int depth, string id) => $"{new string('[', depth)}\"/v1/orders/{id}\"{new string(']', depth)}";
        Assert.Equal(Nested(Bounds.JsonDepthMax, "1099511627777"), Translate(null, Direction.ToMeta, Nested(Bounds.JsonDepthMax, "7")));
        Assert.Equal(Nested(Bounds.JsonDepthMax + 1, "7"), Translate(null, Direction.ToMeta, Nested(Bounds.JsonDepthMax + 1, "7")));
    }

    [Fact]
    public void By_convention_the_collection_tells_whose_id_it_is()
    {
        var profile = ProfileSet.Combine([], out _).For("store").Named("store");
        var ids = new IdPairs(("store", "/orders", "1099511627777", "7"), ("store", "/items", "1099511627778", "7"));
        var path = "/orders/7"u8;
        var match = profile.Paths.Match(path);
        var json = """{"orders":[{"id":7,"self":"/orders/7","item":"http://h/items/7"}]}""";
        var translator = new JsonTranslator(profile, match.Resource, Direction.ToMeta, ids, Conventions.ResourceName(match, path));
        var output = new ArrayBufferWriter<byte>();
        translator.Feed(Encoding.UTF8.GetBytes(json), output);
        translator.Complete(output);
        Assert.Equal(
            """{"orders":[{"id":1099511627777,"self":"/orders/1099511627777","item":"http://h/items/1099511627778"}]}""",
            Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Fact]
    public void Costs_nothing_where_no_ids_differ()
    {
        Assert.Equal("""{"order":{"id":7}}""", Translate("orders", Direction.ToMeta, """{"order":{"id":7}}""", ids: new IdPairs()));
        var other = new IdPairs(("pictures", "images", Image, LocalImage));
        Assert.Equal($$$"""{"order":{"image":"{{{Image}}}"}}""", Translate("orders", Direction.ToMeta, $$$"""{"order":{"image":"{{{LocalImage}}}"}}""", ids: other));
        Assert.Equal(Item.Length, LocalItem.Length);
    }

    internal static string Translate(string? resource, Direction direction, string json, int pieceSize = int.MaxValue, IIdMap? ids = null)
    {
        var translator = new JsonTranslator(IdPairs.Shop, resource is null ? null : IdPairs.Shop.Resources[resource], direction, ids ?? IdPairs.Some);
        var output = new ArrayBufferWriter<byte>();
        foreach (var piece in Encoding.UTF8.GetBytes(json).Chunk(Math.Min(pieceSize, 1 << 20))) translator.Feed(piece, output);
        translator.Complete(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static string Unescaped(string json) =>
        json.Replace("\\u0061", "a", StringComparison.Ordinal).Replace("\\u0069", "i", StringComparison.Ordinal);
}
