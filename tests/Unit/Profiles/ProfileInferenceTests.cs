using System.Text;
using System.Text.Json;
using Cheops.Agent.Profiles;
using CsCheck;

namespace Cheops.Tests.Unit.Profiles;

public sealed class ProfileInferenceTests
{
    private const string Shop = """
        { "openapi": "3.0.0", "servers": [{ "url": "https://shop.example/api/v1/" }],
          "paths": {
            "/orders": { "get": {}, "post": { "responses": { "201": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } } } } } },
            "/orders/{orderId}": { "get": {}, "delete": {} },
            "/orders/{orderId}/cancel": { "post": {} },
            "/orders/{orderId}/history": { "get": {} },
            "/orders/{orderId}/lines": { "get": {}, "post": {} },
            "/orders/{orderId}/lines/{line}": { "get": {} },
            "/items/{sku}": { "put": { "responses": { "200": { "content": { "application/json": { "schema": { "properties": { "sku": {}, "price": {} } } } } } } } },
            "/archive/orders": { "get": {} },
            "/archive/orders/{id}": { "get": {} },
            "/health": { "get": {} }
          },
          "components": { "schemas": {
            "Order": { "allOf": [ { "$ref": "#/components/schemas/Base" }, { "properties": { "key": {} } } ] },
            "Base": { "properties": { "id": { "readOnly": true }, "created": { "readOnly": true }, "self": { "$ref": "#/components/schemas/Base" } } } } } }
        """;

    private static JsonElement Resources(string json) =>
        JsonDocument.Parse(json).RootElement.GetProperty("services").GetProperty("shop").GetProperty("resources");

    [Fact]
    public void Collections_ids_actions_and_site_specific_fields_are_told_from_the_paths_and_schemas()
    {
        var resources = Resources(ProfileInference.Infer(Encoding.UTF8.GetBytes(Shop), "my-shop", "shop"));
        Assert.Equal(["archive-orders", "items", "lines", "orders"], resources.EnumerateObject().Select(one => one.Name).Order(StringComparer.Ordinal));
        var byPath = resources.EnumerateObject().ToDictionary(one => one.Value.GetProperty("collection").GetString()!, one => one.Value);
        var orders = byPath["/api/v1/orders"];
        Assert.Equal("/api/v1/orders/{id}", orders.GetProperty("item").GetString());
        Assert.False(orders.TryGetProperty("id", out _));
        Assert.Equal("""["created"]""", Compact(orders.GetProperty("siteSpecific")));
        Assert.Equal("""{"/cancel":"operation","/history":"never"}""", Compact(orders.GetProperty("actions")));
        Assert.Equal("/api/v1/orders/{orderId}/lines/{id}", byPath["/api/v1/orders/{orderId}/lines"].GetProperty("item").GetString());
        Assert.Equal("sku", byPath["/api/v1/items"].GetProperty("id").GetString());
        Assert.Equal("client", byPath["/api/v1/items"].GetProperty("idChosenBy").GetString());
    }

    private static string Compact(JsonElement element) => JsonSerializer.Serialize(element);

    [Fact]
    public void What_is_inferred_is_a_profile()
    {
        var json = ProfileInference.Infer(Encoding.UTF8.GetBytes(Shop), "my-shop", "shop");
        Assert.True(ProfileReader.TryRead(Encoding.UTF8.GetBytes(json), out var profile, out _));
        Assert.Equal("my-shop", profile.Name);
    }

    [Fact]
    public void Swagger_2_has_its_base_path()
    {
        const string swagger = """{"swagger":"2.0","basePath":"/v2","paths":{"/pets":{"post":{"responses":{"200":{"schema":{"properties":{"pet":{},"uuid":{}}}}}}},"/pets/{pet}":{"get":{}}}}""";
        var pets = Resources(ProfileInference.Infer(Encoding.UTF8.GetBytes(swagger), "x", "shop")).GetProperty("pets");
        Assert.Equal("/v2/pets", pets.GetProperty("collection").GetString());
        Assert.False(pets.TryGetProperty("id", out _));
    }

    [Theory]
    [InlineData("openapi: 3.0.0", "convert YAML first")]
    [InlineData("[]", "no 'paths'")]
    [InlineData("""{"paths":{}}""", "no collection")]
    [InlineData("""{"paths":{"/a":{"get":{}},"/{x}":{"get":{}}}}""", "no collection")]
    public void What_is_no_description_of_collections_is_refused(string document, string expected) => Assert.Contains(
        expected, Assert.Throws<FormatException>(() => ProfileInference.Infer(Encoding.UTF8.GetBytes(document), "x", "shop")).Message, StringComparison.Ordinal);

    [Fact]
    public void Any_damage_gives_a_correct_profile_or_a_reason()
    {
        var damage = Gen.Select(Gen.Int[0, Shop.Length - 1], Gen.Int[0, 9], Gen.OneOf("", "{", "}", "\"", "/", "{id}", "é", " ", ".", "orders", "\\ud800"));
        damage.Array[1, 3].Sample(changes =>
        {
            var text = Shop;
            foreach (var (at, removed, inserted) in changes)
                text = string.Concat(text.AsSpan(0, Math.Min(at, text.Length)), inserted, text.AsSpan(Math.Min(text.Length, at + removed)));
            try
            {
                return ProfileReader.TryRead(Encoding.UTF8.GetBytes(ProfileInference.Infer(Encoding.UTF8.GetBytes(text), "my-shop", "shop")), out _, out _);
            }
            catch (FormatException)
            {
                return true;
            }
        });
    }
}
