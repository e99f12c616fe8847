using System.Collections.Immutable;
using System.Text.Json;

namespace Cheops.Agent.Profiles;

/// <summary>One collection that an OpenAPI document describes, as far as a profile can be told from it.</summary>
internal sealed record FoundResource
{
    public required string Name { get; init; }

    public required string Collection { get; init; }

    public required string Item { get; init; }

    /// <summary>The field of the answer that is the id; empty where a profile's default finds it.</summary>
    public string Id { get; init; } = "";

    public bool IsIdChosenByClient { get; init; }

    /// <summary>Fields that only the service sets.</summary>
    public ImmutableArray<string> SiteSpecific { get; init; } = [];

    /// <summary>Paths below an item, and whether any method there changes something.</summary>
    public ImmutableArray<(string Path, bool Changes)> Actions { get; init; } = [];
}

/// <summary>Finds collections in the paths of an OpenAPI 3 or Swagger 2 document; pure.</summary>
internal sealed class OpenApiPaths
{
    // What a profile finds by itself.
    private static readonly string[] UsualIds = ["id", "uuid", "metadata"];
    private static readonly string[] Changing = ["post", "put", "patch", "delete"];

    private readonly JsonElement _root;
    private readonly string _base;
    private readonly SortedDictionary<string, JsonElement> _paths = new(StringComparer.Ordinal);

    /// <summary>Reads a document's paths.</summary>
    /// <exception cref="FormatException">It has none; the message says what is missing.</exception>
    public OpenApiPaths(JsonElement root)
    {
        _root = root;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("paths", out var paths) || paths.ValueKind != JsonValueKind.Object)
            throw new FormatException("the document has no 'paths': it is no OpenAPI document in JSON");
        _base = BaseOf(root);
        foreach (var path in paths.EnumerateObject())
        {
            if (path.Name.StartsWith('/') && path.Value.ValueKind == JsonValueKind.Object) _paths[path.Name.TrimEnd('/')] = path.Value;
        }
    }

    /// <summary>The collections, the shallow ones first, since they have the better right to a short name.</summary>
    public ImmutableArray<FoundResource> Find()
    {
        var found = ImmutableArray.CreateBuilder<FoundResource>();
        foreach (var path in _paths.Keys.OrderBy(path => path.Count(c => c == '/')))
        {
            if (ItemOf(path) is not { } collection || found.Any(one => one.Collection == _base + collection)) continue;
            found.Add(Describe(NameOf(collection, found), collection, path));
        }

        return found.ToImmutable();
    }

    // "/a/{x}/b/{y}" is an item of "/a/{x}/b" when something can be created or listed there, or be put at the item itself.
    private string? ItemOf(string path)
    {
        var slash = path.LastIndexOf('/');
        if (slash <= 0 || !path[(slash + 1)..].StartsWith('{') || !path.EndsWith('}')) return null;
        var collection = path[..slash];
        if (collection.EndsWith('}')) return null;
        return (_paths.TryGetValue(collection, out var at) && (Has(at, "post") || Has(at, "get"))) || Has(_paths[path], "put") ? collection : null;
    }

    private FoundResource Describe(string name, string collection, string item)
    {
        var variable = item[(item.LastIndexOf('{') + 1)..^1];
        var creates = _paths.TryGetValue(collection, out var at) && Has(at, "post");
        var schema = creates ? AnswerOf(at.GetProperty("post")) : AnswerOf(Member(_paths[item], "put"));
        if (schema is null && Has(_paths[item], "get")) schema = AnswerOf(_paths[item].GetProperty("get"));
        var fields = PropertiesOf(schema);
        var id = fields.Any(field => UsualIds.Contains(field.Name)) || fields.All(field => field.Name != variable) ? "" : variable;
        return new FoundResource
        {
            Name = name,
            Collection = _base + collection,
            Item = $"{_base}{collection}/{{id}}",
            Id = id,
            IsIdChosenByClient = !creates && Has(_paths[item], "put"),
            SiteSpecific = [.. fields.Where(field => field.IsReadOnly && field.Name != variable && !UsualIds.Contains(field.Name) && FieldPath.Parse(field.Name) is not null).Select(field => field.Name)],
            Actions = [.. ActionsOf(item)],
        };
    }

    private IEnumerable<(string Path, bool Changes)> ActionsOf(string item)
    {
        foreach (var (path, methods) in _paths)
        {
            if (!path.StartsWith(item + "/", StringComparison.Ordinal)) continue;
            var below = path[item.Length..];

            // What has variables of its own, or items below it, is a collection itself.
            if (below.Contains('{', StringComparison.Ordinal) || _paths.Keys.Any(other => ItemOf(other) == path)) continue;
            if (PathTemplate.Parse(below, out _) is { Variables.IsEmpty: true }) yield return (below, Changing.Any(method => Has(methods, method)));
        }
    }

    private static string NameOf(string collection, IEnumerable<FoundResource> others)
    {
        var words = collection.Split('/').Where(word => word.Length > 0 && !word.StartsWith('{')).Reverse().ToArray();
        var name = Clean(words.FirstOrDefault() ?? "resources");
        for (var more = 1; others.Any(one => one.Name == name) && more < words.Length; more++) name = $"{Clean(words[more])}-{name}";
        var plain = name;
        for (var number = 2; others.Any(one => one.Name == name); number++) name = $"{plain}-{number}";
        return name;
    }

    private static string Clean(string word) => new([.. word.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-')]);

    private static string BaseOf(JsonElement root)
    {
        var text = Member(root, "basePath") is { ValueKind: JsonValueKind.String } basePath ? basePath.GetString()! : "";
        if (Member(root, "servers") is { ValueKind: JsonValueKind.Array } servers && servers.GetArrayLength() > 0
            && Member(servers[0], "url") is { ValueKind: JsonValueKind.String } url)
        {
            text = Uri.TryCreate(url.GetString(), UriKind.Absolute, out var absolute) && absolute.Scheme is "http" or "https" ? absolute.AbsolutePath : url.GetString()!;
        }

        text = text.TrimEnd('/');
        return text.StartsWith('/') && !text.Contains('{', StringComparison.Ordinal) ? text : "";
    }

    private static bool Has(JsonElement methods, string method) => Member(methods, method)?.ValueKind == JsonValueKind.Object;

    private static JsonElement? Member(JsonElement? of, string name) =>
        of is { ValueKind: JsonValueKind.Object } element && element.TryGetProperty(name, out var member) ? member : null;

    // OpenAPI 3 has a schema per media type, Swagger 2 one for the answer.
    private static JsonElement? AnswerOf(JsonElement? operation)
    {
        foreach (var status in new[] { "201", "200", "202" })
        {
            if (Member(Member(operation, "responses"), status) is not { } answer) continue;
            if (Member(answer, "schema") is { } schema) return schema;
            if (Member(answer, "content") is { ValueKind: JsonValueKind.Object } content)
            {
                foreach (var type in content.EnumerateObject().Where(type => type.Name.Contains("json", StringComparison.Ordinal)))
                {
                    if (Member(type.Value, "schema") is { } inner) return inner;
                }
            }
        }

        return null;
    }

    private List<(string Name, bool IsReadOnly)> PropertiesOf(JsonElement? schema)
    {
        var fields = new List<(string, bool)>();
        Collect(schema, fields, depth: 0);
        return fields;
    }

    // References may form a ring: the depth bounds it.
    private void Collect(JsonElement? schema, List<(string Name, bool IsReadOnly)> fields, int depth)
    {
        const int depthMax = 8;
        if (schema is null || depth > depthMax) return;
        if (Member(schema, "$ref") is { ValueKind: JsonValueKind.String } reference)
        {
            Collect(Resolve(reference.GetString()!), fields, depth + 1);
            return;
        }

        if (Member(schema, "allOf") is { ValueKind: JsonValueKind.Array } all)
        {
            foreach (var part in all.EnumerateArray()) Collect(part, fields, depth + 1);
        }

        if (Member(schema, "properties") is not { ValueKind: JsonValueKind.Object } properties) return;
        foreach (var property in properties.EnumerateObject())
        {
            if (fields.All(field => field.Name != property.Name))
                fields.Add((property.Name, Member(property.Value, "readOnly") is { ValueKind: JsonValueKind.True }));
        }
    }

    private JsonElement? Resolve(string reference)
    {
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) return null;
        JsonElement? at = _root;
        foreach (var step in reference[2..].Split('/'))
            at = Member(at, step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal));
        return at;
    }
}
