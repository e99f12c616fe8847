using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Cheops.Proto;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Profiles;

/// <summary>Reads a profile's JSON document whole (DESIGN.md section 9), with all its mistakes at once.</summary>
/// <remarks>
/// <code>
/// profile  = { "profile": name, "description"?: text, "defaults"?: service, "services": { name: service, … } }
/// service  = { "description"?, "propagate"?: [field], "correlate"?: { "send"?: { field: format }, "match"?: [field],
///              "learn"?: [field], "keep"?: duration }, "ambiguous"?: refuse | local,
///              "identity"?: passCredential | frontProxy | serviceCredential,
///              "version"?: { "path": path, "field": field },
///              "defaults"?: resource, "resources"?: { name: resource, … } }
/// </code>
/// What a <c>defaults</c> says holds for every service (or resource) beside it that does not say otherwise.
/// <see cref="ResourceReader"/> has the members of a resource.
/// </remarks>
public sealed class ProfileReader
{
    private readonly List<ProfileMistake> _mistakes = [];

    private ProfileReader()
    {
    }

    /// <summary>Reads a document. Exactly one of the two results is set.</summary>
    /// <param name="json">The document in UTF-8.</param>
    /// <param name="profile">The profile; null when there is any mistake.</param>
    /// <param name="mistakes">Every mistake, at most <see cref="Bounds.ProfileMistakeCountMax"/>; empty when there is none.</param>
    public static bool TryRead(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out Profile? profile, out ImmutableArray<ProfileMistake> mistakes)
    {
        var reader = new ProfileReader();
        profile = reader.Read(json);
        mistakes = [.. reader._mistakes];
        if (!mistakes.IsEmpty)
            profile = null;
        return profile is not null;
    }

    private Profile? Read(ReadOnlyMemory<byte> json)
    {
        if (json.Length > Bounds.ProfileSizeMax)
        {
            _mistakes.Add(new ProfileMistake("$", $"the document has {json.Length} bytes; at most {Bounds.ProfileSizeMax} are read"));
            return null;
        }

        if (!Utf8.IsValid(json.Span))
        {
            _mistakes.Add(new ProfileMistake("$", "the document is not UTF-8"));
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 16 });
            return ReadProfile(new ProfileObject(document.RootElement, "$", _mistakes));
        }
        catch (JsonException e)
        {
            var place = string.Create(CultureInfo.InvariantCulture, $"line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}");
            _mistakes.Add(new ProfileMistake("$", $"not JSON at {place}: {e.Message.Split(" LineNumber:")[0]}"));
            return null;
        }
        catch (InvalidOperationException)
        {
            // A member's name that holds half of an escaped surrogate pair.
            _mistakes.Add(new ProfileMistake("$", "a member's name is not Unicode text"));
            return null;
        }
    }

    private Profile ReadProfile(ProfileObject document)
    {
        var name = document.Text("profile", required: true) ?? "";
        if (name.Length > 0 && !ScopeParser.IsName(name))
            document.Mistake("$.profile", $"'{name}' is not a name (a letter, then letters, digits, '_', '.' or '-', at most {Bounds.SiteNameLengthMax})");
        document.Text("description");
        var defaults = document.Object("defaults") is { } given ? ReadService("defaults", given, new ServiceProfile { Name = "" }, isDefaults: true) : new ServiceProfile { Name = "" };
        if (!document.Has("services"))
            document.Mistake("$", "'services' is missing");
        var services = new Dictionary<string, ServiceProfile>();
        foreach (var (service, element, path) in document.Object("services")?.Members ?? [])
        {
            if (service != Profile.AnyService && !ScopeParser.IsName(service))
                document.Mistake(path, $"'{service}' is not the name of a service, nor '*'");
            services[service] = ReadService(service, new ProfileObject(element, path, _mistakes), defaults, isDefaults: false);
        }

        document.Done();
        CheckReferences(services);
        return new Profile(name, services.ToFrozenDictionary());
    }

    private ServiceProfile ReadService(string name, ProfileObject document, ServiceProfile defaults, bool isDefaults)
    {
        document.Text("description");
        var service = new ServiceProfile
        {
            Name = name,
            Correlation = CorrelationReader.Read(document, defaults.Correlation),
            Ambiguous = document.Choice("ambiguous", defaults.Ambiguous, ("refuse", AmbiguityRule.Refuse), ("local", AmbiguityRule.Local)),
            Identity = ReadIdentity(document, defaults.Identity),
            Version = ReadVersion(document) ?? defaults.Version,
        };
        if (!isDefaults)
            service = ReadResources(service, document);
        document.Done();
        return service;
    }

    private ServiceProfile ReadResources(ServiceProfile service, ProfileObject document)
    {
        var reader = new ResourceReader(service, document.Object("defaults"), _mistakes);
        var resources = new Dictionary<string, ResourceProfile>();
        var paths = new PathMatcher();
        foreach (var (name, element, path) in document.Object("resources")?.Members ?? [])
        {
            if (reader.Read(name, new ProfileObject(element, path, _mistakes)) is not { } resource)
                continue;
            resources[name] = resource;
            if (paths.Add(resource) is { } other)
                document.Mistake(path, $"has the same path as the resource '{other.Name}'");
        }

        var referred = resources.Values.SelectMany(resource => resource.References).Select(reference => reference.Service).Distinct();
        return service with { Resources = resources.ToFrozenDictionary(), Paths = paths, RefersTo = [.. referred.Where(other => other != service.Name)] };
    }

    private static VersionSource? ReadVersion(ProfileObject document)
    {
        if (document.Object("version") is not { } version) return null;
        var path = version.Text("path", required: true) ?? "";
        if (path.Length > 0 && (path[0] != '/' || path.Length > Bounds.TargetSizeMax || path.Any(c => c is <= ' ' or > '~' or '#')))
            version.Mistake(version.PathOf("path"), $"'{path}' is not a path such as /version");
        var text = version.Text("field", required: true) ?? "";
        var field = FieldPath.Parse(text);
        if (field is null && text.Length > 0) version.Mistake(version.PathOf("field"), $"'{text}' is not {ResourceReader.AField}");
        version.Done();
        return field is null || path.Length == 0 ? null : new VersionSource(path, field);
    }

    internal static IdentityRule ReadIdentity(ProfileObject document, IdentityRule otherwise) => document.Choice(
        "identity", otherwise,
        ("passCredential", IdentityRule.PassCredential), ("frontProxy", IdentityRule.FrontProxy), ("serviceCredential", IdentityRule.ServiceCredential));

    private void CheckReferences(Dictionary<string, ServiceProfile> services)
    {
        foreach (var service in services.Values)
        {
            foreach (var resource in service.Resources.Values)
            {
                foreach (var reference in resource.References)
                {
                    if (services.TryGetValue(reference.Service, out var other) && other.Resources.ContainsKey(reference.Resource))
                        continue;
                    var known = services.Values.SelectMany(one => one.Resources.Keys.Select(key => one == service ? key : $"{one.Name}/{key}")).ToArray();
                    var written = reference.Service == service.Name ? reference.Resource : $"{reference.Service}/{reference.Resource}";
                    _mistakes.Add(new ProfileMistake(
                        $"$.services.{service.Name}.resources.{resource.Name}.references['{reference.Field}'].resource",
                        $"no resource '{written}' in this profile{NearestName.Hint(written, known)}"));
                }
            }
        }
    }
}
