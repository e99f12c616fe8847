using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Profiles;
using Cheops.Proto;
using CsCheck;

namespace Cheops.Tests.Unit.Profiles;

public class ProfileReaderTests
{
    private const string Shop =
        """
        { "profile": "shop",
          "services": { "shop": {
            "propagate": ["X-Shop-Trace"],
            "correlate": { "send": { "x-shop-request": "shop-<uuid>" }, "learn": ["x-shop-answer"], "keep": "30m" },
            "ambiguous": "local", "identity": "serviceCredential", "version": { "path": "/about", "field": "api.version" },
            "resources": {
              "orders": { "collection": "/v1/orders", "item": "/v1/orders/{id}", "naturalKey": ["key"], "lookup": "/v1/orders?key={key}", "divisible": "quantity",
                          "references": { "item": { "resource": "items", "dependency": "requirement" } },
                          "actions": { "/pay": "operation", "/invoice": "never" },
                          "operations": { "pay": { "method": "POST", "action": "/pay", "contentType": "application/json", "idempotent": true } },
                          "resolution": { "update": { "delete": "second", "pay": "reverse" }, "pay": { "pay": "first" } } },
              "items":  { "collection": "/v1/items", "item": "/v1/items/{id}", "id": "name", "idChosenBy": "client",
                          "visibility": "local", "siteSpecific": ["stockroom"], "identity": "passCredential" } } } } }
        """;

    [Fact]
    public void Reads_every_member()
    {
        var shop = Read(Shop).Services["shop"];
        Assert.Equal("x-shop-request=shop-<uuid>, x-shop-trace=<hex>", string.Join(", ", shop.Correlation.Send.Select(field => $"{field.Name}={field.Format}")));
        Assert.Equal("x-shop-request x-shop-trace", string.Join(' ', shop.Correlation.Match));
        Assert.Equal("x-shop-answer", shop.Correlation.Learn.Single());
        Assert.Equal(TimeSpan.FromMinutes(30), shop.Correlation.Keep);
        Assert.Equal(new VersionSource("/about", FieldPath.Parse("api.version")!), shop.Version);
        Assert.Equal((AmbiguityRule.Local, IdentityRule.ServiceCredential), (shop.Ambiguous, shop.Identity));

        var orders = shop.Resources["orders"];
        Assert.Equal(("/v1/orders", "/v1/orders/{id}", "key", "quantity"), (orders.Collection.Text, orders.Item.Text, orders.NaturalKey.Single().Text, orders.Divisible.Single().Text));
        Assert.Equal("/v1/orders?key={key}", orders.Lookup?.Text);
        Assert.Equal(new ResourceReference(FieldPath.Parse("item")!, "shop", "items", Dependency.Requirement), orders.References.Single());
        Assert.Equal((ActionRule.Operation, ActionRule.Never), (orders.Actions["/pay"], orders.Actions["/invoice"]));
        var pay = orders.Operations.Single();
        Assert.Equal(("pay", "POST", "/pay", "application/json", true), (pay.Kind, pay.Method, pay.Action, pay.ContentTypes.Single(), pay.Idempotent));
        Assert.Equal((Resolution.Second, Resolution.Reverse, Resolution.First), (orders.Resolution[("update", "delete")], orders.Resolution[("update", "pay")], orders.Resolution[("pay", "pay")]));
        Assert.Equal(IdentityRule.ServiceCredential, orders.Identity);

        var items = shop.Resources["items"];
        Assert.Equal(("name", IdChooser.Client, Visibility.Local, "stockroom", IdentityRule.PassCredential), (items.Id?.Text, items.IdChosenBy, items.Visibility, items.SiteSpecific.Single().Text, items.Identity));
    }

    [Theory]
    [InlineData("a", "a")]
    [InlineData("spec.volumes[].configMap.name", "spec|volumes|[]|configMap|name")]
    [InlineData("a[][].b", "a|[]|[]|b")]
    [InlineData("metadata.labels['a.b/c-d']", "metadata|labels|a.b/c-d")]
    [InlineData("a['b'].c['d.e'][]", "a|b|c|d.e|[]")]
    [InlineData("", null)]
    [InlineData(".", null)]
    [InlineData("a.", null)]
    [InlineData(".a", null)]
    [InlineData("a..b", null)]
    [InlineData("[]", null)]
    [InlineData("a.[]", null)]
    [InlineData("a[]b", null)]
    [InlineData("a[b]", null)]
    [InlineData("a['b'", null)]
    [InlineData("a['']", null)]
    [InlineData("a[']", null)]
    [InlineData("a['", null)]
    [InlineData("a['[]']", null)]
    [InlineData("a['b'c']", null)]
    [InlineData("['a']", null)]
    [InlineData("a['b']c", null)]
    [InlineData("a b", null)]
    public void A_field_is_a_path_of_names(string text, string? segments) =>
        Assert.Equal(segments, FieldPath.Parse(text) is { } field ? string.Join('|', field.Segments) : null);

    [Theory]
    [InlineData("[]", "$", "an object is expected")]
    [InlineData("{", "$", "not JSON at line 1, byte 2")]
    [InlineData("{}", "$", "'profile' is missing")]
    [InlineData("""{"profile": "p"}""", "$", "'services' is missing")]
    [InlineData("""{"profile": 1, "services": {}}""", "$.profile", "a text is expected, a number was found")]
    [InlineData("""{"profile": "1p", "services": {}}""", "$.profile", "'1p' is not a name")]
    [InlineData("""{"profile": "p", "services": {}, "servces": {}}""", "$.servces", "did you mean 'services'?")]
    [InlineData("""{"profile": "p", "profile": "q", "services": {}}""", "$.profile", "occurs twice")]
    [InlineData("""{"profile": "p", "services": []}""", "$.services", "an object is expected, a list was found")]
    [InlineData("""{"profile": "p", "services": {"a b": {}}}""", "$.services['a b']", "not the name of a service")]
    [InlineData("""{"profile": "p", "services": {}, "\ud800": 1}""", "$", "a member's name is not Unicode text")]
    [InlineData("""{"profile": "\ud800", "services": {}}""", "$.profile", "a text is expected")]
    public void Names_mistakes_of_the_document(string json, string path, string message) => AssertMistake(json, path, message);

    [Theory]
    [InlineData("""{"resorces": {}}""", "$.services.s.resorces", "did you mean 'resources'?")]
    [InlineData("""{"ambiguous": "locale"}""", "$.services.s.ambiguous", "'locale' is not one of refuse, local; did you mean 'local'?")]
    [InlineData("""{"identity": "proxy"}""", "$.services.s.identity", "passCredential, frontProxy, serviceCredential")]
    [InlineData("""{"version": {"path": "/v"}}""", "$.services.s.version", "'field' is missing")]
    [InlineData("""{"version": {"path": "v", "field": "a"}}""", "$.services.s.version.path", "'v' is not a path such as /version")]
    [InlineData("""{"version": {"path": "/v", "field": "a..b"}}""", "$.services.s.version.field", "'a..b' is not a field")]
    [InlineData("""{"version": {"path": "/v", "field": "a", "header": "b"}}""", "$.services.s.version.header", "is not known here")]
    [InlineData("""{"propagate": ["x y"]}""", "$.services.s.propagate", "'x y' is not a field name")]
    [InlineData("""{"propagate": [1]}""", "$.services.s.propagate[0]", "a text is expected")]
    [InlineData("""{"propagate": "Authorization"}""", "$.services.s.propagate", "has another meaning")]
    [InlineData("""{"correlate": {"send": {"x-a": "req-"}}}""", "$.services.s.correlate.send.x-a", "'req-' is not a format")]
    [InlineData("""{"correlate": {"send": {"x-a": "<uuid><hex>"}}}""", "$.services.s.correlate.send.x-a", "is not a format")]
    [InlineData("""{"correlate": {"keep": "2 days"}}""", "$.services.s.correlate.keep", "'2 days' is not a time")]
    [InlineData("""{"correlate": {"keep": "25h"}}""", "$.services.s.correlate.keep", "from 1s to 24h")]
    [InlineData("""{"correlate": {"keep": "0s"}}""", "$.services.s.correlate.keep", "is not a time")]
    [InlineData("""{"correlate": {"lern": "x"}}""", "$.services.s.correlate.lern", "did you mean 'learn'?")]
    [InlineData("""{"defaults": {"collection": "/a"}}""", "$.services.s.defaults.collection", "is not known here")]
    public void Names_mistakes_of_a_service(string service, string path, string message) =>
        AssertMistake($$"""{"profile": "p", "services": {"s": {{service}} } }""", path, message);

    [Theory]
    [InlineData("""{}""", "", "'collection' is missing")]
    [InlineData("""{"collection": "a"}""", ".collection", "a path starts with '/'")]
    [InlineData("""{"collection": "/a//b"}""", ".collection", "'' is not a path segment")]
    [InlineData("""{"collection": "/a/%20"}""", ".collection", "'%20' is not a path segment")]
    [InlineData("""{"collection": "/a/{id}"}""", ".collection", "a collection has no {id}")]
    [InlineData("""{"collection": "/{a}/{a}"}""", ".collection", "the variable 'a' occurs twice")]
    [InlineData("""{"collection": "/{a}/{b+}"}""", ".collection", "'{b+}' is not a variable")]
    [InlineData("""{"collection": "/a/x{b}"}""", ".collection", "'x{b}' is not a path segment")]
    [InlineData("""{"collection": "/a", "item": "/a/{name}"}""", ".item", "does not end in /{id}")]
    [InlineData("""{"collection": "/{p}/a", "item": "/{q}/a/{id}"}""", ".item", "does not have the same variables")]
    [InlineData("""{"collection": "/a", "id": "a..b"}""", ".id", "'a..b' is not a field")]
    [InlineData("""{"collection": "/a", "siteSpecificExcept": ["a"]}""", ".siteSpecificExcept", "'a' is not a field with a value, such as spec.clusterIP=None")]
    [InlineData("""{"collection": "/a", "idChosenBy": "user"}""", ".idChosenBy", "service, client")]
    [InlineData("""{"collection": "/a", "idShape": "number"}""", ".idShape", "any, uuid")]
    [InlineData("""{"collection": "/a", "visibility": "globl"}""", ".visibility", "did you mean 'global'?")]
    [InlineData("""{"collection": "/a", "naturalKey": ["a", "b c"]}""", ".naturalKey", "'b c' is not a field")]
    [InlineData("""{"collection": "/a", "naturalKey": "k", "lookup": "a?k={k}"}""", ".lookup", "a target starts with '/'")]
    [InlineData("""{"collection": "/a", "naturalKey": "k", "lookup": "/a?k={}"}""", ".lookup", "a variable is written {name}")]
    [InlineData("""{"collection": "/a", "naturalKey": "k", "lookup": "/a?k=}{k}"}""", ".lookup", "a variable is written {name}")]
    [InlineData("""{"collection": "/{p}/a", "naturalKey": "o.k", "lookup": "/{p}/a?k={key}"}""", ".lookup", "'key' is no field of the natural key and no variable of the collection; known are k, p")]
    [InlineData("""{"collection": "/a", "actions": {"file": "never"}}""", ".actions.file", "is not a path below an item")]
    [InlineData("""{"collection": "/a", "actions": {"/file": "nver"}}""", ".actions['/file']", "did you mean 'never'?")]
    [InlineData("""{"collection": "/a", "references": {"b": {"dependency": "reliance"}}}""", ".references.b", "'resource' is missing")]
    [InlineData("""{"collection": "/a", "references": {"b": {"resource": "r"}}}""", ".references.b", "'dependency' is missing")]
    [InlineData("""{"collection": "/a", "references": {"b": {"resource": "rr", "dependency": "reliance"}}}""", ".references['b'].resource", "no resource 'rr' in this profile; did you mean 'r'?")]
    [InlineData("""{"collection": "/a", "references": {"b": {"resource": "t/r", "dependency": "reliance"}}}""", ".references['b'].resource", "no resource 't/r'")]
    [InlineData("""{"collection": "/a", "operations": {"x": {"method": "patch"}}}""", ".operations.x.method", "is not a method")]
    [InlineData("""{"collection": "/a", "operations": {"x": {"method": "PUT", "idempotent": "yes"}}}""", ".operations.x.idempotent", "true or false is expected")]
    [InlineData("""{"collection": "/a", "resolution": {"update": {"remove": "first"}}}""", ".resolution.update.remove", "is not a kind of operation")]
    [InlineData("""{"collection": "/a", "resolution": {"update": {"delete": "any"}}}""", ".resolution.update.delete", "both, first, second, inOrder, reverse")]
    public void Names_mistakes_of_a_resource(string resource, string path, string message) =>
        AssertMistake($$"""{"profile": "p", "services": {"s": {"resources": {"r": {{resource}} } } } }""", "$.services.s.resources.r" + path, message);

    [Fact]
    public void Two_resources_cannot_have_the_same_path() => AssertMistake(
        """{"profile": "p", "services": {"s": {"resources": {"r": {"collection": "/{x}/a"}, "q": {"collection": "/{y}/a"}}}}}""",
        "$.services.s.resources.q", "has the same path as the resource 'r'");

    [Fact]
    public void Bytes_that_are_not_UTF8_are_a_mistake()
    {
        Assert.False(ProfileReader.TryRead(Encoding.Latin1.GetBytes("""{"profile": "p", "services": {"é": {}}}"""), out _, out var mistakes));
        Assert.Equal("$: the document is not UTF-8", mistakes.Single().ToString());
    }

    [Fact]
    public void Tells_all_mistakes_at_once_and_at_most_so_many()
    {
        Assert.False(ProfileReader.TryRead("""{"profil": "p", "services": {"s": {"ambiguous": "x", "resources": {"r": {}}}}}"""u8.ToArray(), out _, out var mistakes));
        Assert.Equal(["$", "$.profil", "$.services.s.ambiguous", "$.services.s.resources.r"], mistakes.Select(mistake => mistake.Path).Order(StringComparer.Ordinal));
        var many = $$"""{"profile": "p", "services": { {{string.Join(',', Enumerable.Range(0, 500).Select(i => $"\"-{i}\": {{}}"))}} } }""";
        Assert.False(ProfileReader.TryRead(Encoding.UTF8.GetBytes(many), out _, out mistakes));
        Assert.Equal(Bounds.ProfileMistakeCountMax, mistakes.Length);
        Assert.False(ProfileReader.TryRead(new byte[Bounds.ProfileSizeMax + 1], out _, out mistakes));
        Assert.Contains("at most", mistakes.Single().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_damage_gives_a_profile_or_mistakes_with_paths()
    {
        var documents = BuiltInProfiles.Names.Select(name => Encoding.UTF8.GetString(BuiltInProfiles.Json(name).Span)).Append(Shop).ToArray();
        var damage = Gen.Select(Gen.OneOf(documents), Gen.Int[0, 10_000], Gen.Int[0, 12], Gen.OneOf("", "\"", "{", "}", "[", "]", ",", "null", "/", "{id}", "é", "0"));
        damage.Sample((document, at, removed, inserted) =>
        {
            at %= document.Length;
            var text = string.Concat(document.AsSpan(0, at), inserted, document.AsSpan(Math.Min(document.Length, at + removed)));
            var read = ProfileReader.TryRead(Encoding.UTF8.GetBytes(text), out var profile, out var mistakes);
            return read == (profile is not null) && read == mistakes.IsEmpty && mistakes.All(mistake => mistake.Path.StartsWith('$'));
        });
    }

    internal static Profile Read(string json)
    {
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(json), out var profile, out var mistakes), string.Join("\n", mistakes));
        return profile;
    }

    private static void AssertMistake(string json, string path, string message)
    {
        Assert.False(ProfileReader.TryRead(Encoding.UTF8.GetBytes(json), out _, out ImmutableArray<ProfileMistake> mistakes));
        Assert.Contains(mistakes, mistake => mistake.Path == path && mistake.Message.Contains(message, StringComparison.Ordinal));
    }
}
