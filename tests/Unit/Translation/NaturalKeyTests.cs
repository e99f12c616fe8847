using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Tests.Unit.Profiles;

namespace Cheops.Tests.Unit.Translation;

public sealed class NaturalKeyTests
{
    private static readonly ServiceProfile Shop = ProfileReaderTests.Read(
        """
        {"profile": "p", "services": {"s": {"resources": {
          "images": {"collection": "/{project}/images", "id": "image.id", "naturalKey": ["image.name", "image.owner"],
                     "lookup": "/{project}/images?name={name}&owner={owner}"},
          "orders": {"collection": "/orders", "naturalKey": ["key", "customer.number"]},
          "plain": {"collection": "/plain"} }}}}
        """).Services["s"];

    [Theory]
    [InlineData("images", """{"image":{"name":"a","owner":"o"}}""", """{"images":[{"id":"1","name":"a","owner":"p"},{"id":"2","name":"a","owner":"o"}]}""", "2")]
    [InlineData("images", """{"image":{"name":"a"}}""", """{"images":[{"image":{"id":"1","name":"a","owner":"p"}},{"id":"2","name":"b"}]}""", "1")]
    [InlineData("images", """{"image":{"name":"a","owner":null}}""", """{"items":[{"id":"1","name":"a"},{"id":"2","name":"a"},{"id":"3","name":"a"}]}""", "1 2")]
    [InlineData("images", """{"image":{"name":"a\u00fc"}}""", """[{"id":"1","name":"aü"}]""", "1")]
    [InlineData("orders", """{"key":7,"customer":{"number":"9"}}""", """[{"id":1,"key":7,"customer":{"number":"8"}},{"id":2,"key":7,"customer":{"number":"9"},"lines":[{"id":5,"key":1}]}]""", "2")]
    [InlineData("orders", """{"key":7}""", """{"orders":[{"uuid":"u","key":8,"x":{"key":7}},{"key":7}]}""", "")]
    [InlineData("orders", """{"key":7}""", """{"orders":[]}""", "")]
    public void Finds_what_has_the_key(string resource, string request, string list, string ids)
    {
        var key = NaturalKey.Of(Shop.Resources[resource], Encoding.UTF8.GetBytes(request));
        foreach (var size in (int[])[1, 5, 1000])
        {
            var search = key!.Search();
            foreach (var piece in Encoding.UTF8.GetBytes(list).Chunk(size)) search.Feed(piece);
            Assert.True(search.IsWhole);
            Assert.Equal(ids, string.Join(' ', search.Ids));
        }
    }

    [Fact]
    public void What_is_known_as_something_elses_hides_nothing()
    {
        var search = NaturalKey.Of(Shop.Resources["orders"], """{"key":7}"""u8)!.Search(static id => id is "1" or "2");
        search.Feed("""[{"id":1,"key":7},{"id":2,"key":7},{"id":3,"key":7}]"""u8);
        Assert.Equal(["3"], search.Ids);
    }

    [Theory]
    [InlineData("plain", """{"key":7}""")]
    [InlineData("orders", """{"other":7}""")]
    [InlineData("orders", """{"key":7""")]
    [InlineData("orders", "")]
    public void Without_a_key_nothing_tells(string resource, string request) =>
        Assert.Null(NaturalKey.Of(Shop.Resources[resource], Encoding.UTF8.GetBytes(request)));

    [Fact]
    public void A_list_that_is_cut_off_proves_nothing()
    {
        var search = NaturalKey.Of(Shop.Resources["orders"], """{"key":7}"""u8)!.Search();
        Assert.False(search.IsWhole);
        search.Feed("""{"orders":[{"id":1,"key":8},"""u8);
        Assert.False(search.IsWhole);
        search.Feed("x"u8);
        Assert.False(search.IsWhole);
    }

    [Theory]
    [InlineData("""{"image":{"name":"a b&{owner}","owner":"ü"}}""", "/p%201/images?name=a%20b%26%7Bowner%7D&owner=%C3%BC")]
    [InlineData("""{"image":{"name":"a"}}""", "/p%201/images")]
    public void Asks_by_the_lookup_where_all_of_it_is_known(string request, string target)
    {
        var path = "/p%201/images"u8;
        var key = NaturalKey.Of(Shop.Resources["images"], Encoding.UTF8.GetBytes(request));
        Assert.Equal(target, key!.Target(Shop.Paths.Match(path), path));
    }
}
