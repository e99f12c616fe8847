using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Cheops.Agent.Profiles;
using Cheops.Agent.Translation;
using Cheops.Proto;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class BodyEditTests
{
    [Theory]
    [InlineData("""{"a":1}""", """{"a":1,"id":"x"}""")]
    [InlineData("""{ }""", """{ "id":"x"}""")]
    [InlineData("""{"id": null, "a": {"id": 1}}""", """{"id": "x", "a": {"id": 1}}""")]
    [InlineData("""{"\u0069d":{"a":[1,{}]},"b":2}""", """{"\u0069d":"x","b":2}""")]
    [InlineData("[1]", "[1]")]
    [InlineData("7", "7")]
    [InlineData("", "")]
    public void Sets_a_field(string json, string expected) => Assert.Equal(expected, Edit(json, set: "id"));

    [Theory]
    [InlineData("""{"a":1}""", """{"a":1,"image":{"meta":{"id":"x"}}}""")]
    [InlineData("""{"image":{}}""", """{"image":{"meta":{"id":"x"}}}""")]
    [InlineData("""{"image":{"a":1,"meta":{"b":2}},"c":3}""", """{"image":{"a":1,"meta":{"b":2,"id":"x"}},"c":3}""")]
    [InlineData("""{"image":{"meta":{"id":7}}}""", """{"image":{"meta":{"id":"x"}}}""")]
    [InlineData("""{"image":null}""", """{"image":null}""")]
    public void Makes_what_is_missing_above(string json, string expected) => Assert.Equal(expected, Edit(json, set: "image.meta.id"));

    [Theory]
    [InlineData("""{"a":1, "b":2, "c":3}""", "a", """{"b":2, "c":3}""")]
    [InlineData("""{"a":1, "b":2, "c":3}""", "b", """{"a":1, "c":3}""")]
    [InlineData("""{"a":1, "b":2, "c":3 }""", "c", """{"a":1, "b":2 }""")]
    [InlineData("""{"a":1, "b":2, "c":3}""", "a b c", "{}")]
    [InlineData("""{"a":1, "b":2, "c":3}""", "a b", """{"c":3}""")]
    [InlineData("""{"a":1, "b":2, "c":3}""", "b c", """{"a":1}""")]
    [InlineData("""{"a":1, "b":2, "c":3}""", "a c", """{"b":2}""")]
    [InlineData("""{"a":{"x":[{"b":1}]},"b":{"a":2}}""", "a b.c", """{"b":{"a":2}}""")]
    [InlineData("""{"s":{"p":[{"n":1,"q":2},{"q":3,"n":4},{"n":5}]}}""", "s.p[].n", """{"s":{"p":[{"q":2},{"q":3},{}]}}""")]
    [InlineData("""{"p":[1,{"a":2},[3]],"q":[4]}""", "p[]", """{"p":[],"q":[4]}""")]
    [InlineData("""{"p":[[{"a":1,"b":2}]]}""", "p[][].a", """{"p":[[{"b":2}]]}""")]
    [InlineData("""{"a":"}\",{","b":1}""", "a", """{"b":1}""")]
    public void Removes_fields(string json, string removed, string expected) => Assert.Equal(expected, Edit(json, removed));

    [Theory]
    [InlineData("""{"a":1,"b":2}}x""", """{"b":2}}x""")]
    [InlineData("""{"b":2,"a":""", """{"b":2""")]
    [InlineData("""{"b":2,"c" 3,"a":1}""", """{"b":2,"c" 3,"a":1}""")]
    [InlineData("""{"b":2, x""", """{"b":2, x""")]
    public void Passes_what_is_malformed_as_it_is(string json, string expected)
    {
        for (var size = 1; size < 20; size++) Assert.Equal(expected, Edit(json, "a", size: size));
    }

    [Theory]
    [InlineData("""{"a":"keep","b":1}""", """{"a":"keep","b":1}""")]
    [InlineData("""{"b":1 , "a" : "keep" }""", """{"b":1 , "a" : "keep" }""")]
    [InlineData("""{"a" : "ke\u0065p"}""", """{"a" : "ke\u0065p"}""")]
    [InlineData("""{"a":"other","b":1}""", """{"b":1}""")]
    [InlineData("""{"b":1, "a": null, "c":2}""", """{"b":1, "c":2}""")]
    [InlineData("""{"b":1, "a": {"a":"keep"}, "c":2}""", """{"b":1, "c":2}""")]
    [InlineData("""{"a":["keep"],"c":{"a":"other"}}""", """{"c":{"a":"other"}}""")]
    [InlineData("""{"a":"other"}""", "{}")]
    [InlineData("""{"b":1,"a" x "other"}""", """{"b":1,"a" x "other"}""")]
    [InlineData("""{"b":1,"a": """, """{"b":1,"a": """)]
    public void A_field_may_stay_with_one_value(string json, string expected)
    {
        for (var size = 1; size < 20; size++) Assert.Equal(expected, Edit(json, "a", size: size, keep: "a=keep"));
    }

    [Fact]
    public void Long_values_are_not_the_one_that_stays()
    {
        var big = new string('v', 2 * Bounds.JsonTokenSizeMax);
        foreach (var size in (int[])[1, 1000, 1 << 20]) Assert.Equal("""{"b":2}""", Edit($$"""{"a":"{{big}}","b":2}""", "a", size: size, keep: "a=keep"));
    }

    [Fact]
    public void Keeps_space_up_to_the_bound_and_long_values_whole()
    {
        var space = new string(' ', 3 * Bounds.JsonSpaceKeptMax);
        var big = new string('v', 2 * Bounds.JsonTokenSizeMax);
        foreach (var size in (int[])[1, 1000, 1 << 20])
        {
            Assert.Equal($"{{\"b\":1,{space[..(Bounds.JsonSpaceKeptMax - 1)]}\"c\":2}}", Edit($"{{\"b\":1,{space}\"c\":2}}", "a", size: size));
            Assert.Equal($"{{\"b\":\"{big}\",\"{big}\":[\"{big}\"]}}", Edit($"{{\"b\":\"{big}\",\"a\":\"{big}\",\"{big}\":[\"{big}\"]}}", "a", size: size));
        }
    }

    [Fact]
    public void Long_values_are_replaced_whole()
    {
        var big = new string('v', 2 * Bounds.JsonTokenSizeMax);
        foreach (var size in (int[])[1, 1000, 1 << 20])
        {
            Assert.Equal("""{"id":"x","b":[2]}""", Edit($$"""{"id":"{{big}}","b":[2]}""", size: size, set: "id"));
            Assert.Equal("""{"b":[]}""", Edit($$"""{"b":["{{big}}",2,{"a":"{{big}}"}]}""", "b[]", size: size));
        }
    }

    [Fact]
    public void A_change_must_be_one_that_can_be_made()
    {
        Assert.Throws<ArgumentException>(() => new BodyChanges([], FieldPath.Parse("a[].b"), "1"u8.ToArray()));
        foreach (var value in (string[])["", "{}", "1 2", "x", "\"a"])
            Assert.Throws<ArgumentException>(() => new BodyChanges([], FieldPath.Parse("a"), Encoding.UTF8.GetBytes(value)));
    }

    /// <summary>Against System.Text.Json's nodes, and in any split.</summary>
    [Fact]
    public void Agrees_with_the_oracle_in_any_split() => Gen.Select(Documents(0), Gen.Int[1, 9]).Sample((json, size) =>
    {
        var edited = Edit(json, "a b.c d[].a d[].d[] e.a", "b.id", size);
        var oracle = JsonNode.Parse(json);
        if (oracle is JsonObject root) Change(root);
        Assert.True(JsonNode.DeepEquals(oracle, JsonNode.Parse(edited)), $"{json}\n{edited}");
        Assert.Equal(edited, Edit(json, "a b.c d[].a d[].d[] e.a", "b.id"));
        Assert.Equal(json, Edit(json, "nothing.is[].called", null, size));
    }, iter: 5_000);

    private static void Change(JsonObject root)
    {
        root.Remove("a");
        if (root["b"] is JsonObject b) b.Remove("c");
        if (root["e"] is JsonObject e) e.Remove("a");
        foreach (var element in (root["d"] as JsonArray ?? []).OfType<JsonObject>())
        {
            element.Remove("a");
            if (element["d"] is JsonArray inner) inner.Clear();
        }

        if (!root.ContainsKey("b")) root["b"] = new JsonObject();
        if (root["b"] is JsonObject set) set["id"] = "x";
    }

    private static Gen<string> Documents(int depth)
    {
        var space = Gen.OneOf("", "", " ", "\n\t");
        var scalar = Gen.OneOf("1", "\"s,\\\"}\"", "true", "null", "-1.5e3", "\"é\"");
        if (depth == 4) return scalar;
        var inner = Documents(depth + 1);
        var names = Gen.OneOf("a", "b", "c", "d", "e", "id", "f").Array[0, 5].Select(all => all.Distinct().ToArray());
        var objects = Gen.Select(names, inner.Array[5], space.Array[6], (keys, values, spaces) =>
            $"{{{string.Join(',', keys.Select((key, i) => $"{spaces[i]}\"{key}\"{spaces[i + 1]}:{values[i]}{spaces[0]}"))}{spaces[5]}}}");
        var lists = Gen.Select(inner.Array[0, 4], space, (values, one) => $"[{one}{string.Join($"{one},", values)}]");
        return depth == 0 ? Gen.Frequency((9, objects), (1, lists)) : Gen.Frequency((1, scalar), (3, objects), (2, lists));
    }

    private static string Edit(string json, string removed = "", string? set = null, int size = int.MaxValue, string keep = "")
    {
        var fields = removed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(text => FieldPath.Parse(text)!);
        FieldValue[] kept = FieldValue.Parse(keep) is { } value ? [value] : [];
        var edit = new BodyEdit(new BodyChanges([.. fields], set is null ? null : FieldPath.Parse(set), "\"x\""u8.ToArray(), kept));
        var output = new ArrayBufferWriter<byte>();
        foreach (var piece in Encoding.UTF8.GetBytes(json).Chunk(Math.Min(size, 1 << 20))) edit.Feed(piece, output);
        edit.Complete(output);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
