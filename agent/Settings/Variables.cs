using System.Collections.Immutable;
using Cheops.Proto;

namespace Cheops.Agent.Settings;

/// <summary>The environment variables that an agent knows (DESIGN.md section 11).</summary>
public static class Variables
{
    /// <summary>What all of them begin with.</summary>
    public const string Prefix = "CHEOPS_";

    /// <summary>Where the API listens when nothing else is said.</summary>
    public const string DefaultApiListen = "127.0.0.1:7070";

    /// <summary>Where durable state is when nothing else is said.</summary>
    public const string DefaultDataDirectory = "/var/lib/cheops";

    /// <summary>The program that serves the mesh when nothing else is said.</summary>
    public const string DefaultNatsServer = "nats-server";

    internal const string Site = "CHEOPS_SITE";
    internal const string Services = "CHEOPS_SERVICES";
    internal const string Peers = "CHEOPS_PEERS";
    internal const string MeshListen = "CHEOPS_MESH_LISTEN";
    internal const string MeshCert = "CHEOPS_MESH_CERT";
    internal const string MeshKey = "CHEOPS_MESH_KEY";
    internal const string MeshCa = "CHEOPS_MESH_CA";
    internal const string NatsServer = "CHEOPS_NATS_SERVER";
    internal const string NatsUrl = "CHEOPS_NATS_URL";
    internal const string ApiListen = "CHEOPS_API_LISTEN";
    internal const string Data = "CHEOPS_DATA";
    internal const string Profiles = "CHEOPS_PROFILES";
    internal const string TlsCert = "CHEOPS_TLS_CERT";
    internal const string TlsKey = "CHEOPS_TLS_KEY";
    internal const string TlsClientCa = "CHEOPS_TLS_CLIENT_CA";
    internal const string UpstreamCa = "CHEOPS_UPSTREAM_CA";
    internal const string UpstreamCert = "CHEOPS_UPSTREAM_CERT";
    internal const string UpstreamKey = "CHEOPS_UPSTREAM_KEY";
    internal const string ServiceCredential = "CHEOPS_SERVICE_CREDENTIAL";
    internal const string Log = "CHEOPS_LOG";

    /// <summary>Those that may end in <c>_</c> and a service's name in capitals, and then hold for that service alone.</summary>
    public static ImmutableArray<string> PerService { get; } = [TlsCert, TlsKey, TlsClientCa, UpstreamCa, UpstreamCert, UpstreamKey, ServiceCredential];

    /// <summary>All of them, in the order in which people are told of them.</summary>
    public static ImmutableArray<string> All { get; } =
    [
        Site, Services, Peers, MeshListen, MeshCert, MeshKey, MeshCa, NatsServer, NatsUrl, ApiListen, Data, Profiles,
        .. PerService, Log,
    ];

    // Of the repository's scripts and tests: an agent that one of them starts inherits them.
    private static readonly ImmutableHashSet<string> OfScripts = ["CHEOPS_ARTIFACTS", "CHEOPS_BIN", "CHEOPS_SHARED"];

    /// <summary>A service's name as a suffix: capitals, and <c>_</c> for what a variable's name cannot have.</summary>
    public static string SuffixOf(string service) => service.ToUpperInvariant().Replace('-', '_').Replace('.', '_');

    /// <summary>Says what is wrong with every variable that begins with <c>CHEOPS_</c> and is not known.</summary>
    internal static IEnumerable<SettingMistake> Unknown(IEnumerable<string> names, IEnumerable<string> services)
    {
        var suffixed = services.SelectMany(service => PerService.Select(name => $"{name}_{SuffixOf(service)}")).ToArray();
        var known = All.Concat(suffixed).ToHashSet();
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            if (!name.StartsWith(Prefix, StringComparison.Ordinal) || known.Contains(name) || OfScripts.Contains(name)) continue;
            yield return new SettingMistake(Shown.Of(name), MessageFor(name, services));
        }
    }

    private static string MessageFor(string name, IEnumerable<string> services)
    {
        if (PerService.FirstOrDefault(one => name.StartsWith(one + "_", StringComparison.Ordinal)) is not { } owner)
            return $"no such variable{NearestName.Hint(name, All)}";
        var suffix = name[(owner.Length + 1)..];
        return NearestName.Find(suffix, services.Select(SuffixOf)) is { } nearest
            ? $"no such variable; did you mean '{owner}_{nearest}'?"
            : $"no service has the suffix '{Shown.Of(suffix)}'; CHEOPS_SERVICES gives {ListOf(services)}";
    }

    private static string ListOf(IEnumerable<string> services) =>
        string.Join(", ", services.Select(SuffixOf).Distinct()) is { Length: > 0 } list ? list : "none";
}
