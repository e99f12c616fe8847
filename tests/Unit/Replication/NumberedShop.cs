using System.Globalization;
using System.Text.Json.Nodes;
using Cheops.Tests.Unit.Collaboration;

namespace Cheops.Tests.Unit.Replication;

/// <summary>
/// A site's services <c>items</c> and <c>shop</c>, which choose integers as ids: orders and notes of the shop refer to items, and
/// one that names an item which this site does not have is refused.
/// </summary>
internal sealed class NumberedShop(int firstId)
{
    public const string Profile = """
        { "profile": "shop", "services": {
            "items": { "resources": { "items": { "collection": "/v1/items", "naturalKey": ["name"] } } },
            "shop": { "resources": {
                "orders": { "collection": "/v1/orders", "naturalKey": ["item", "of"], "siteSpecific": ["madeAt"], "references": { "item": { "resource": "items/items", "dependency": "requirement" } } },
                "notes": { "collection": "/v1/notes", "references": {
                    "item": { "resource": "items/items", "dependency": "reliance" }, "about[].item": { "resource": "items/items", "dependency": "reliance" } } } } } } }
        """;

    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, (string Collection, JsonObject Of)> _all = [];
    private long _next = firstId;

    /// <summary>How many orders are made before one is made and not answered.</summary>
    public int? OrdersUntilLost { get; set; }

    /// <summary>The ids of what is in a collection.</summary>
    public long[] Ids(string collection)
    {
        lock (_gate) return [.. _all.Where(one => one.Value.Collection == collection).Select(one => one.Key)];
    }

    public Task<string?> AnswerAsync(Asked asked)
    {
        lock (_gate) return Task.FromResult(Answer(asked));
    }

    private string? Answer(Asked asked)
    {
        var words = asked.FirstLine.Split(' ');
        var (path, query) = words[1].Split('?') is [var first, var second] ? (first, second) : (words[1], "");
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var collection = parts[1];
        var isJson = asked.Field("Content-Type")?.Contains("json", StringComparison.Ordinal) == true;
        var body = isJson && asked.Content.Length > 0 ? JsonNode.Parse(asked.Content)!.AsObject() : null;
        if (parts.Length == 2) return words[0] == "POST" ? Made(collection, body ?? []) : Listed(collection, query);
        if (!long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var id) || !_all.TryGetValue(id, out var found)) return Answered(404, "{}");
        if (words[0] == "PUT" && Refusal(body!) is { } refusal) return refusal;
        if (words[0] == "PUT") _all[id] = (collection, Numbered(body!, id));
        return Answered(200, (words[0] == "PUT" ? _all[id] : found).Of.ToJsonString());
    }

    private string? Made(string collection, JsonObject body)
    {
        if (Refusal(body) is { } refusal) return refusal;
        var id = _next++;
        _all[id] = (collection, Numbered(body, id));
        if (collection == "orders" && OrdersUntilLost-- == 0) return null;
        return Answered(201, _all[id].Of.ToJsonString(), $"Location: /v1/{collection}/{id}\r\n");
    }

    private static JsonObject Numbered(JsonObject body, long id)
    {
        body["id"] = id;
        return body;
    }

    private string? Refusal(JsonObject body)
    {
        var named = (body["about"]?.AsArray().Select(one => one!["item"]) ?? []).Append(body["item"]).Where(item => item is not null);
        return named.FirstOrDefault(item => !_all.TryGetValue(item!.GetValue<long>(), out var found) || found.Collection != "items") is { } missing
            ? Answered(422, $$"""{"unknown":{{missing}}}""")
            : null;
    }

    private string Listed(string collection, string query)
    {
        var item = query.StartsWith("item=", StringComparison.Ordinal) ? query["item=".Length..] : null;
        var listed = _all.Values.Where(one => one.Collection == collection && (item is null || one.Of["item"]?.ToString() == item));
        return Answered(200, $"[{string.Join(',', listed.Select(one => one.Of.ToJsonString()))}]");
    }

    private static string Answered(int status, string body, string fields = "") => SimulatedSites.Answer(status, body, $"Content-Type: application/json\r\n{fields}");
}
