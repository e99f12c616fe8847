using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Cheops.Agent.Translation;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

/// <summary>Random texts against an oracle: System.Text.Json finds the tokens, regular expressions say which are ids.</summary>
public sealed partial class JsonTranslatorPropertyTests
{
    private static readonly Gen<string> Space = Gen.Frequency((6, Gen.Const("")), (1, Gen.OneOf(" ", "\n  ", "\t", "\r\n")));
    private static readonly Gen<string> Name = Gen.OneOf(
        "order", "orders", "items", "rows", "data", "object", "id", "item", "image", "parts", "item_id", "key", "uuid", "metadata", "name", "", "é", "\\u0069d", "\\\"");

    private static readonly Gen<string> LocalScalar = Gen.OneOf(
        "7", "8", "9", "\"7\"", "\"8\"", "true", "null", "-7", "7.5", "7e1", "0", "\"\"", "\"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa\"",
        "\"bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\"", "\"/v1/orders/7\"", "\"http://h/v1/orders/8/lines/3?order_id=7\"", "\"/a/b\"", "\"/v1/items/7\"", "\"é/😀\"");

    private static readonly Gen<string> Scalar = Gen.Frequency((5, LocalScalar), (1, Gen.OneOf(
        "1099511627777", "\"1099511627778\"", "\"11111111-1111-4111-8111-111111111111\"", "\"\\u0037\"", "\"\\/v1\\/orders\\/7\"", "\"\\ud800/v1/orders/7\"", "\"\\ud83d\\ude00\"")));

    private static Gen<string> Texts(Gen<string> scalar) => Gen.Recursive<string>((depth, inner) => depth > 5 ? scalar : Gen.Frequency(
        (3, scalar),
        (3, Gen.Select(Name, inner, Space, Space, (name, value, before, after) => $"{before}\"{name}\"{after}:{before}{value}").Array[0, 4].Select(members => $"{{{string.Join(',', members)}}}")),
        (2, Gen.Select(inner, Space, (value, space) => $"{space}{value}{space}").Array[0, 4].Select(elements => $"[{string.Join(',', elements)}]"))));

    // Shapes that services answer with, filled with anything.
    private static Gen<string> Bodies(Gen<string> scalar) => Gen.Select(
        Gen.OneOf("{0}", "{{\"order\":{0}}}", "{{\"orders\": [{0}, {{\"id\":{1}}}]}}", "[{0},{1}]", "{{\"id\":{1},\"orders\":[{0}]}}", "{{\"order\":{{\"id\":{1}}},\"items\":[{0}]}}",
            "{{\"type\":\"ADDED\",\"object\":{{\"order\":{0}}}}}", "{{\"order\":{{\"item\":{1},\"parts\":[{{\"item_id\":{1}}},{0}]}}}}"),
        Texts(scalar), scalar, (shape, text, one) => string.Format(null, CompositeFormat.Parse(shape), text, one));

    [Fact]
    public void Agrees_with_the_oracle_byte_for_byte() => Bodies(Scalar).Sample(
        text => Assert.Equal(Oracle(text), JsonTranslatorTests.Translate("orders", Direction.ToMeta, text)), iter: 3_000);

    [Fact]
    public void Every_split_gives_the_same() => Gen.Select(Bodies(Scalar), Gen.OneOf("", "}", "x", "[7", "\"", "{\"order\":{\"id\":7"), Gen.Int[1, 5], Gen.Int[0, 200]).Sample((text, tail, size, start) =>
    {
        var bytes = Encoding.UTF8.GetBytes(text + tail);
        var whole = JsonTranslatorTests.Translate("orders", Direction.ToMeta, text + tail);
        var translator = new JsonTranslator(IdPairs.Shop, IdPairs.Shop.Resources["orders"], Direction.ToMeta, IdPairs.Some);
        var output = new ArrayBufferWriter<byte>();
        translator.Feed(bytes.AsSpan(0, Math.Min(start, bytes.Length)), output);
        for (var at = Math.Min(start, bytes.Length); at < bytes.Length; at += size) translator.Feed(bytes.AsSpan(at, Math.Min(size, bytes.Length - at)), output);
        translator.Complete(output);
        Assert.Equal(whole, Encoding.UTF8.GetString(output.WrittenSpan));
    }, iter: 3_000);

    [Fact]
    public void There_and_back_is_where_it_began() => Bodies(LocalScalar).Sample(text =>
    {
        var meta = JsonTranslatorTests.Translate("orders", Direction.ToMeta, text);
        Assert.Equal(text, JsonTranslatorTests.Translate("orders", Direction.ToLocal, meta));
    }, iter: 3_000);

    [Fact]
    public void Any_damage_changes_nothing_but_ids() => Gen.Select(Bodies(Scalar), Gen.Int[0, 300], Gen.OneOf("", "\"", "\\", "{", "]", ",", ":", "0", "\u0001", "é", "t")).Sample((text, at, inserted) =>
    {
        text = text.Replace("😀", "ü", StringComparison.Ordinal);
        at %= text.Length;
        var damaged = string.Concat(text.AsSpan(0, at), inserted, text.AsSpan(Math.Min(text.Length, at + 1)));
        var translated = JsonTranslatorTests.Translate("orders", Direction.ToMeta, damaged);
        Assert.Equal(Masked(damaged), Masked(translated));
    }, iter: 3_000);

    // Ids of either side alike.
    private static string Masked(string text) => Ids().Replace(text.Replace("\\/", "/", StringComparison.Ordinal).Replace("\\u0037", "7", StringComparison.Ordinal), "#");

    [GeneratedRegex("109951162777[789]|[1-9][0-9a-f]{7}-[0-9a-f-]{27}|[ab]{8}-[ab48-]{27}|[378]")]
    private static partial Regex Ids();

    [GeneratedRegex(@"^(object\.)?order\.id$|^(items|results|data|rows|orders)?\[\]\.((object\.)?order\.id|id)$")]
    private static partial Regex OwnPath();

    [GeneratedRegex(@"^((object\.)?|((items|results|data|rows|orders)?\[\]\.(object\.)?))order\.(item|parts\[\]\.item_id)$|^(items|results|data|rows|orders)?\[\]\.(item|parts\[\]\.item_id)$")]
    private static partial Regex ItemPath();

    [GeneratedRegex(@"^((object\.)?|((items|results|data|rows|orders)?\[\]\.(object\.)?))order\.image$|^(items|results|data|rows|orders)?\[\]\.image$")]
    private static partial Regex ImagePath();

    [GeneratedRegex(@"^(items|results|data|rows|orders)?\[\]")]
    private static partial Regex InList();

    private static string Oracle(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var output = new ArrayBufferWriter<byte>();
        var reader = new Utf8JsonReader(bytes);
        var path = new Stack<string>();
        var (name, copied, ofItself, noList) = ("", 0, false, false);
        while (reader.Read())
        {
            var at = path.TryPeek(out var around) ? (around.EndsWith("[]", StringComparison.Ordinal) ? around : around + name) : "";
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    name = NameOf(reader.ValueSpan);
                    break;
                case JsonTokenType.StartArray:
                    if (path.Count <= 1) noList = ofItself;
                    path.Push(at + "[]");
                    break;
                case JsonTokenType.StartObject:
                    path.Push(at.Length == 0 ? "" : at + ".");
                    break;
                case JsonTokenType.EndArray or JsonTokenType.EndObject:
                    path.Pop();
                    break;
                case JsonTokenType.String or JsonTokenType.Number:
                    var inList = InList().IsMatch(at);
                    if (OwnPath().IsMatch(at) && !inList) ofItself = true;
                    if (Replaced(ref reader, inList && noList ? "" : at) is not { } replacement) break;
                    output.Write(bytes.AsSpan(copied, (int)reader.TokenStartIndex - copied));
                    output.Write(Encoding.UTF8.GetBytes(replacement));
                    copied = (int)reader.BytesConsumed;
                    break;
            }
        }

        output.Write(bytes.AsSpan(copied));
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    // No name that is empty: a list under it would look like one without a name.
    private static string NameOf(ReadOnlySpan<byte> raw) =>
        JsonSerializer.Deserialize<string>($"\"{Encoding.UTF8.GetString(raw)}\"") is { Length: > 0 } name ? name.Replace('.', '?') : "?";

    private static string? Replaced(ref Utf8JsonReader reader, string path)
    {
        string text;
        try
        {
            text = reader.TokenType == JsonTokenType.Number ? Encoding.UTF8.GetString(reader.ValueSpan) : reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return null;
        }

        var (service, resource) = OwnPath().IsMatch(path) ? ("shop", "orders") : ItemPath().IsMatch(path) ? ("shop", "items") : ImagePath().IsMatch(path) ? ("pictures", "images") : ("", "");
        if (IdPairs.Some.TryToMeta(service, resource, Encoding.UTF8.GetBytes(text), out var meta))
            return reader.TokenType == JsonTokenType.Number && meta.All(char.IsAsciiDigit) ? meta : JsonSerializer.Serialize(meta);
        if (reader.TokenType == JsonTokenType.Number || !text.Contains('/', StringComparison.Ordinal)) return null;
        var link = text.Replace("/v1/orders/7", "/v1/orders/1099511627777", StringComparison.Ordinal).Replace("/v1/orders/8", "/v1/orders/1099511627778", StringComparison.Ordinal)
            .Replace("/lines/3", "/lines/1099511627779", StringComparison.Ordinal).Replace("order_id=7", "order_id=1099511627777", StringComparison.Ordinal);
        return link == text ? null : $"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(link)}\"";
    }
}
