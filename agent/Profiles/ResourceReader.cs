using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Cheops.Agent.Profiles;

/// <summary>Reads the resources of one service.</summary>
/// <remarks>
/// <code>
/// resource = { "description"?, "collection": path, "item"?: path, "id"?: field, "idChosenBy"?: service | client, "idShape"?: any | uuid,
///              "naturalKey"?: [field], "lookup"?: target, "references"?: { field: { "resource": [service "/"] name,
///              "dependency": requirement | reliance | composition } }, "visibility"?: global | local | none,
///              "siteSpecific"?: [field], "siteSpecificExcept"?: [field=value], "divisible"?: [field], "actions"?: { path: operation | never | local },
///              "never"?: [mark], "identity"?, "operations"?: { kind: { "method", "action"?, "contentType"?: [type], "idempotent"? } },
///              "resolution"?: { kind: { kind: both | first | second | inOrder | reverse } } }
/// </code>
/// </remarks>
internal sealed class ResourceReader
{
    internal const string AField = "a field, names joined by dots such as metadata.name or spec.volumes[].name";

    private readonly ServiceProfile _service;
    private readonly List<ProfileMistake> _mistakes;
    private readonly ResourceProfile _defaults;

    public ResourceReader(ServiceProfile service, ProfileObject? defaults, List<ProfileMistake> mistakes)
    {
        _service = service;
        _mistakes = mistakes;
        var any = PathTemplate.Parse("/any", out _)!;
        _defaults = new ResourceProfile { Name = "defaults", Collection = any, Item = any, Identity = service.Identity };
        if (defaults is null)
            return;
        _defaults = ReadMembers(_defaults, defaults);
        defaults.Done();
    }

    public ResourceProfile? Read(string name, ProfileObject document)
    {
        var resource = ReadMembers(_defaults with { Name = name }, document);
        var collectionText = document.Text("collection", required: true);
        var collection = collectionText is null ? null : ReadPath(document, "collection", collectionText);
        if (collection?.Variables.Contains("id") == true)
        {
            document.Mistake(document.PathOf("collection"), "a collection has no {id}; that is the item's");
            collection = null;
        }

        var item = collection is null ? null : ReadPath(document, "item", document.Text("item") ?? $"{collection.Text.TrimEnd('/')}/{{id}}");
        document.Has("item");
        document.Done();
        if (collection is null || item is null)
            return null;
        CheckPaths(document, collection, item);
        CheckLookup(document, resource, collection);
        return resource with { Collection = collection, Item = item };
    }

    private ResourceProfile ReadMembers(ResourceProfile otherwise, ProfileObject document)
    {
        document.Text("description");
        var actions = ReadActions(document);
        var operations = ReadOperations(document);
        var kinds = OperationProfile.BasicKinds.Concat((operations ?? otherwise.Operations).Select(operation => operation.Kind)).ToArray();
        return otherwise with
        {
            Id = ReadId(document) ?? otherwise.Id,
            IdChosenBy = document.Choice("idChosenBy", otherwise.IdChosenBy, ("service", IdChooser.Service), ("client", IdChooser.Client)),
            HasUuids = document.Choice("idShape", otherwise.HasUuids, ("any", false), ("uuid", true)),
            NaturalKey = ReadFields(document, "naturalKey", otherwise.NaturalKey),
            Lookup = ReadLookup(document) ?? otherwise.Lookup,
            References = ReadReferences(document) ?? otherwise.References,
            Visibility = document.Choice("visibility", otherwise.Visibility, ("global", Visibility.Global), ("local", Visibility.Local), ("none", Visibility.None)),
            SiteSpecific = ReadFields(document, "siteSpecific", otherwise.SiteSpecific),
            SiteSpecificExcept = document.Has("siteSpecificExcept") ? document.Each("siteSpecificExcept", FieldValue.Parse, "a field with a value, such as spec.clusterIP=None") : otherwise.SiteSpecificExcept,
            Divisible = ReadFields(document, "divisible", otherwise.Divisible),
            Actions = actions ?? otherwise.Actions,
            Never = document.Has("never") ? document.Each("never", RequestMark.Parse, "a mark such as ?dryRun=All for the query or dryRun[]=All for the body") : otherwise.Never,
            Identity = ProfileReader.ReadIdentity(document, otherwise.Identity),
            Operations = operations ?? otherwise.Operations,
            Resolution = ReadResolution(document, kinds) ?? otherwise.Resolution,
        };
    }

    private static ImmutableArray<FieldPath> ReadFields(ProfileObject document, string member, ImmutableArray<FieldPath> otherwise) =>
        document.Has(member) ? document.Each(member, FieldPath.Parse, AField) : otherwise;

    private static FieldPath? ReadId(ProfileObject document)
    {
        if (document.Text("id") is not { } text)
            return null;
        var id = FieldPath.Parse(text);
        if (id is null)
            document.Mistake(document.PathOf("id"), $"'{text}' is not {AField}");
        return id;
    }

    private static LookupTemplate? ReadLookup(ProfileObject document)
    {
        if (document.Text("lookup") is not { } text)
            return null;
        var lookup = LookupTemplate.Parse(text, out var mistake);
        if (mistake is not null)
            document.Mistake(document.PathOf("lookup"), $"'{text}': {mistake}");
        return lookup;
    }

    private static void CheckLookup(ProfileObject document, ResourceProfile resource, PathTemplate collection)
    {
        if (resource.Lookup is not { } lookup)
            return;
        var known = resource.NaturalKey.Select(field => field.Segments[^1]).Concat(collection.Variables).ToArray();
        foreach (var variable in lookup.Variables.Where(variable => !known.Contains(variable)))
            document.Mistake(document.PathOf("lookup"), $"'{variable}' is no field of the natural key and no variable of the collection; known are {string.Join(", ", known)}");
    }

    private static PathTemplate? ReadPath(ProfileObject document, string member, string text)
    {
        var template = PathTemplate.Parse(text, out var mistake);
        if (mistake is not null)
            document.Mistake(document.PathOf(member), $"'{text}': {mistake}");
        return template;
    }

    private static void CheckPaths(ProfileObject document, PathTemplate collection, PathTemplate item)
    {
        if (item.Variables.IsEmpty || item.Variables[^1] != "id" || item.Segments[^1] != PathTemplate.VariableSegment)
            document.Mistake(document.PathOf("item"), $"'{item}' does not end in /{{id}}");
        else if (!item.Variables[..^1].SequenceEqual(collection.Variables))
            document.Mistake(document.PathOf("item"), $"'{item}' does not have the same variables as the collection '{collection}'");
    }

    private ImmutableArray<ResourceReference>? ReadReferences(ProfileObject document)
    {
        if (document.Object("references") is not { } all)
            return null;
        var references = ImmutableArray.CreateBuilder<ResourceReference>();
        foreach (var (name, element, path) in all.Members)
        {
            var reference = new ProfileObject(element, path, _mistakes);
            var target = reference.Text("resource", required: true);
            var dependency = reference.Choice(
                "dependency", Dependency.Requirement,
                ("requirement", Dependency.Requirement), ("reliance", Dependency.Reliance), ("composition", Dependency.Composition));
            if (!reference.Has("dependency"))
                reference.Mistake(path, "'dependency' is missing");
            reference.Done();
            if (FieldPath.Parse(name) is not { } field)
                reference.Mistake(path, $"'{name}' is not {AField}");
            else if (target is not null)
                references.Add(ReferenceTo(field, target, dependency));
        }

        return references.ToImmutable();
    }

    private ResourceReference ReferenceTo(FieldPath field, string target, Dependency dependency) =>
        target.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash
            ? new ResourceReference(field, target[..slash], target[(slash + 1)..], dependency)
            : new ResourceReference(field, _service.Name, target, dependency);

    private static FrozenDictionary<string, ActionRule>? ReadActions(ProfileObject document)
    {
        if (document.Object("actions") is not { } all)
            return null;
        var actions = new Dictionary<string, ActionRule>();
        foreach (var (name, element, path) in all.Members)
        {
            if (PathTemplate.Parse(name, out _) is not { Variables.IsEmpty: true })
                all.Mistake(path, $"'{name}' is not a path below an item, such as /file");
            else if (all.TextOf(element, path) is { } rule)
                actions[name.TrimEnd('/')] = all.ChoiceOf(rule, path, ActionRule.Never, ("operation", ActionRule.Operation), ("never", ActionRule.Never), ("local", ActionRule.Local));
        }

        return actions.ToFrozenDictionary();
    }

    private ImmutableArray<OperationProfile>? ReadOperations(ProfileObject document)
    {
        if (document.Object("operations") is not { } all)
            return null;
        var operations = ImmutableArray.CreateBuilder<OperationProfile>();
        foreach (var (name, element, path) in all.Members)
        {
            var operation = new ProfileObject(element, path, _mistakes);
            var method = operation.Text("method", required: true) ?? "";
            if (method.Length > 0 && !method.All(char.IsAsciiLetterUpper))
                operation.Mistake(operation.PathOf("method"), $"'{method}' is not a method in capital letters, such as PATCH");
            var action = operation.Text("action") ?? "";
            if (action.Length > 0 && PathTemplate.Parse(action, out _) is not { Variables.IsEmpty: true })
                operation.Mistake(operation.PathOf("action"), $"'{action}' is not a path below an item, such as /file");
            operations.Add(new OperationProfile(
                name, method, action.TrimEnd('/'),
                [.. operation.Texts("contentType").Select(type => type.ToLowerInvariant())], operation.Flag("idempotent")));
            operation.Done();
        }

        return operations.ToImmutable();
    }

    private FrozenDictionary<(string, string), Resolution>? ReadResolution(ProfileObject document, string[] kinds)
    {
        if (document.Object("resolution") is not { } rows)
            return null;
        var resolution = new Dictionary<(string, string), Resolution>();
        foreach (var (first, element, rowPath) in rows.Members)
        {
            var row = new ProfileObject(element, rowPath, _mistakes);
            CheckKind(rows, first, rowPath, kinds);
            foreach (var (second, value, path) in row.Members)
            {
                CheckKind(row, second, path, kinds);
                if (row.TextOf(value, path) is { } text)
                {
                    resolution[(first, second)] = row.ChoiceOf(
                        text, path, Resolution.Both, ("both", Resolution.Both), ("first", Resolution.First),
                        ("second", Resolution.Second), ("inOrder", Resolution.InOrder), ("reverse", Resolution.Reverse));
                }
            }
        }

        return resolution.ToFrozenDictionary();
    }

    private static void CheckKind(ProfileObject document, string kind, string path, string[] kinds)
    {
        if (!kinds.Contains(kind))
            document.Mistake(path, $"'{kind}' is not a kind of operation; known are {string.Join(", ", kinds)}{Proto.NearestName.Hint(kind, kinds)}");
    }
}
