using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using Cheops.Proto;
using Cheops.Proto.Scopes;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Settings;

/// <summary>
/// Reads settings from a source of strings, with all mistakes at once. Touches no file and no socket; what can only be
/// told from files is the business of <see cref="SettingsFiles"/>.
/// </summary>
public sealed class SettingsReader
{
    private readonly IReadOnlyDictionary<string, string> _variables;
    private readonly List<SettingMistake> _mistakes = [];

    private SettingsReader(IReadOnlyDictionary<string, string> variables) => _variables = variables;

    /// <summary>Reads settings. Exactly one of the two results says something.</summary>
    /// <param name="variables">The variables; those that do not begin with <c>CHEOPS_</c> are passed over.</param>
    /// <param name="settings">The settings; null when there is any mistake.</param>
    /// <param name="mistakes">Every mistake; empty when there is none.</param>
    public static bool TryRead(
        IReadOnlyDictionary<string, string> variables,
        [NotNullWhen(true)] out AgentSettings? settings,
        out ImmutableArray<SettingMistake> mistakes)
    {
        var read = ReadWhatIsRight(variables, out mistakes);
        settings = mistakes.IsEmpty ? read : null;
        return settings is not null;
    }

    /// <summary>Reads settings for whoever looks for more mistakes: what has one is left out, or is as if it were not set.</summary>
    /// <param name="variables">The variables; those that do not begin with <c>CHEOPS_</c> are passed over.</param>
    /// <param name="mistakes">Every mistake; empty when there is none.</param>
    public static AgentSettings ReadWhatIsRight(IReadOnlyDictionary<string, string> variables, out ImmutableArray<SettingMistake> mistakes)
    {
        var reader = new SettingsReader(variables);
        var read = reader.Read();
        mistakes = [.. reader._mistakes];
        return read;
    }

    /// <summary>Only where the API listens, for commands that ask an agent; null for nowhere.</summary>
    /// <param name="variables">The variables.</param>
    /// <param name="mistake">What is wrong with it; null for nothing.</param>
    public static IPEndPoint? ReadApiListen(IReadOnlyDictionary<string, string> variables, out SettingMistake? mistake)
    {
        var reader = new SettingsReader(variables);
        var address = reader.ReadListen(Variables.ApiListen, Variables.DefaultApiListen);
        mistake = reader._mistakes.FirstOrDefault();
        return address;
    }

    private AgentSettings Read()
    {
        foreach (var name in Variables.All)
        {
            if (Text(name).Length > Bounds.SettingLengthMax) Mistake(name, $"longer than {Bounds.SettingLengthMax} characters");
        }

        var site = ReadSite();
        var services = ReadServices();
        _mistakes.AddRange(Variables.Unknown(_variables.Keys, services.Select(service => service.Name)));
        var settings = new AgentSettings
        {
            Site = site,
            Services = services,
            Mesh = ReadMesh(),
            ApiListen = ReadListen(Variables.ApiListen, Variables.DefaultApiListen),
            DataDirectory = ReadData(),
            Profiles = ReadProfiles(),
            LogLevel = ReadLogLevel(),
        };
        _mistakes.AddRange(SettingsConsistency.Check(settings));
        return settings;
    }

    // ---- values -----------------------------------------------------------------------------------------------

    private void Mistake(string variable, string message) => _mistakes.Add(new SettingMistake(variable, message));

    private string Text(string name) => _variables.TryGetValue(name, out var text) ? text.Trim() : "";

    private string? OptionalText(string name) => Text(name) is { Length: > 0 } text ? text : null;

    private string[] List(string name)
    {
        if (Text(name) is not { Length: > 0 } text) return [];
        var items = text.Split(',', StringSplitOptions.TrimEntries);
        if (items.Any(item => item.Length == 0)) Mistake(name, "an entry between commas is empty");
        return [.. items.Where(item => item.Length > 0)];
    }

    private IPEndPoint? ReadListen(string name, string whenUnset)
    {
        var text = _variables.ContainsKey(name) ? Text(name) : whenUnset;
        if (text.Length == 0) return null;
        if (HostPort.TryParseListen(text, out var address) is not { } wrong) return address;
        Mistake(name, wrong);
        return null;
    }

    private static string NameRule => $"expected a letter, then letters, digits, '_', '.' or '-', at most {Bounds.SiteNameLengthMax} in all";

    private string ReadSite()
    {
        var site = Text(Variables.Site);
        if (site.Length == 0)
            Mistake(Variables.Site, "required: this site's name, such as Site1");
        else if (!ScopeParser.IsName(site))
            Mistake(Variables.Site, $"'{Shown.Of(site)}' is no site's name; {NameRule}");
        else if (IsReserved(site))
            Mistake(Variables.Site, $"'{site}' is a word of scopes; call the site something else");
        return site;
    }

    private static bool IsReserved(string name) => name is "here" or "around";

    private string ReadData()
    {
        var path = OptionalText(Variables.Data) ?? Variables.DefaultDataDirectory;
        if (path[0] != '/') Mistake(Variables.Data, $"'{Shown.Of(path)}' is no absolute path");
        return path;
    }

    private ImmutableArray<ProfileReference> ReadProfiles()
    {
        var profiles = ImmutableArray.CreateBuilder<ProfileReference>();
        foreach (var name in List(Variables.Profiles))
        {
            if (profiles.Any(one => one.Name == name))
                Mistake(Variables.Profiles, $"'{Shown.Of(name)}' is named twice");
            else
                profiles.Add(new ProfileReference(name, name.Contains('/', StringComparison.Ordinal) || name.EndsWith(".json", StringComparison.Ordinal)));
        }

        return profiles.ToImmutable();
    }

    private LogLevel ReadLogLevel()
    {
        switch (Text(Variables.Log))
        {
            case "error": return LogLevel.Error;
            case "warn": return LogLevel.Warning;
            case "" or "info": return LogLevel.Information;
            case "debug": return LogLevel.Debug;
            case var other:
                Mistake(Variables.Log, $"'{Shown.Of(other)}' is no level; expected error, warn, info or debug");
                return LogLevel.Information;
        }
    }

    // ---- services ---------------------------------------------------------------------------------------------

    private ImmutableArray<ServiceSettings> ReadServices()
    {
        var services = new List<ServiceSettings>();
        var entries = List(Variables.Services);
        if (Text(Variables.Services).Length == 0)
            Mistake(Variables.Services, "required: name@listen=instance, such as glance@127.0.1.1:19292=http://127.0.1.1:9292");
        if (entries.Length > Bounds.ServiceCountMax)
            Mistake(Variables.Services, $"{entries.Length} entries; at most {Bounds.ServiceCountMax} are taken");
        foreach (var entry in entries.Take(Bounds.ServiceCountMax))
        {
            if (ReadService(entry) is not { } service) continue;
            var known = services.FindIndex(one => one.Name == service.Name);
            if (known < 0)
                services.Add(service);
            else if (services[known].Upstream != service.Upstream)
                Mistake(Variables.Services, $"'{service.Name}' has two instances, {services[known].Upstream} and {service.Upstream}; a service has one at each site");
            else
                services[known] = services[known] with { Listen = [.. services[known].Listen, .. service.Listen] };
        }

        foreach (var twice in services.GroupBy(service => Variables.SuffixOf(service.Name)).Where(group => group.Count() > 1))
            Mistake(Variables.Services, $"{string.Join(" and ", twice.Select(one => $"'{one.Name}'"))} have the same suffix {twice.Key} for their variables; rename one");
        return [.. services.Select(WithTls)];
    }

    private ServiceSettings? ReadService(string entry)
    {
        var at = entry.IndexOf('@', StringComparison.Ordinal);
        var equals = entry.IndexOf('=', StringComparison.Ordinal);
        if (at <= 0 || equals < at)
        {
            // Where a URL with a password stands in its place, nothing of it is shown.
            var shown = ScopeParser.IsName(entry.Split('=', '@')[0]) ? $"'{Shown.Of(entry.Split('=', '@')[0])}...'" : "an entry";
            Mistake(Variables.Services, $"{shown} is no service; expected name@listen=instance, such as glance@127.0.1.1:19292=http://127.0.1.1:9292");
            return null;
        }

        var name = entry[..at].Trim();
        var before = _mistakes.Count;
        if (!ScopeParser.IsName(name) || name.Length > Bounds.ServiceNameLengthMax)
            Mistake(Variables.Services, $"'{Shown.Of(name)}' is no service's name; {NameRule}");
        if (HostPort.TryParseListen(entry[(at + 1)..equals].Trim(), out var listen) is { } wrong)
            Mistake(Variables.Services, $"{Shown.Of(name)}: {wrong}");
        var upstream = ReadUpstream(name, entry[(equals + 1)..].Trim());
        return _mistakes.Count > before || upstream is null ? null : new ServiceSettings { Name = name, Listen = [listen], Upstream = upstream };
    }

    private UpstreamAddress? ReadUpstream(string service, string text)
    {
        service = Shown.Of(service);
        var scheme = text.IndexOf("://", StringComparison.Ordinal);
        if (scheme < 0 || text[..scheme] is not ("http" or "https"))
        {
            Mistake(Variables.Services, $"{service}: the instance must be a URL that begins with http:// or https://");
            return null;
        }

        var tls = text[..scheme] == "https";
        var rest = text[(scheme + 3)..].TrimEnd('/');
        if (rest.Contains('@', StringComparison.Ordinal))
            Mistake(Variables.Services, $"{service}: the instance's URL must not carry a user or password");
        else if (rest.IndexOfAny(['/', '?', '#']) >= 0)
            Mistake(Variables.Services, $"{service}: '{Shown.Of(text)}' has a path; only the host and port of an instance can be given, since paths pass unchanged");
        else if (HostPort.TryParse(WithPort(rest, tls), out var address) is { } wrong)
            Mistake(Variables.Services, $"{service}: {wrong}");
        else
            return new UpstreamAddress(tls, address.Host, address.Port);
        return null;
    }

    private static string WithPort(string authority, bool tls)
    {
        var hasPort = authority.StartsWith('[') ? authority.Contains("]:", StringComparison.Ordinal) : authority.Contains(':', StringComparison.Ordinal);
        return hasPort || authority.Length == 0 ? authority : $"{authority}:{(tls ? 443 : 80)}";
    }

    private ServiceSettings WithTls(ServiceSettings service)
    {
        var cert = ForService(Variables.TlsCert, service.Name);
        var key = ForService(Variables.TlsKey, service.Name);
        var clientCa = ForService(Variables.TlsClientCa, service.Name);
        RequireBoth(cert, key);
        if (clientCa.Value is not null && cert.Value is null && key.Value is null)
            MistakeOnce(clientCa.Name, "client certificates can only be asked for on TLS listeners: set CHEOPS_TLS_CERT and CHEOPS_TLS_KEY too");

        var ca = ForService(Variables.UpstreamCa, service.Name);
        var upstreamCert = ForService(Variables.UpstreamCert, service.Name);
        var upstreamKey = ForService(Variables.UpstreamKey, service.Name);
        RequireBoth(upstreamCert, upstreamKey);
        foreach (var (name, value) in new[] { ca, upstreamCert, upstreamKey })
        {
            if (!service.Upstream.Tls && value is not null && name.EndsWith("_" + Variables.SuffixOf(service.Name), StringComparison.Ordinal))
                Mistake(name, $"{service.Name}'s instance is reached without TLS ({service.Upstream}); make it https:// or leave this out");
        }

        return service with
        {
            Tls = cert.Value is not null && key.Value is not null ? new ListenerTlsSettings(cert.Value, key.Value, clientCa.Value) : null,
            CredentialFile = ForService(Variables.ServiceCredential, service.Name).Value,
            UpstreamTls = new UpstreamTlsSettings { CaFile = ca.Value, CertificateFile = upstreamCert.Value, KeyFile = upstreamKey.Value },
        };
    }

    // The service's own variable, also when it is set to nothing, comes before the one for all.
    private (string Name, string? Value) ForService(string name, string service)
    {
        var own = $"{name}_{Variables.SuffixOf(service)}";
        return _variables.ContainsKey(own) ? (own, OptionalText(own)) : (name, OptionalText(name));
    }

    private void RequireBoth((string Name, string? Value) cert, (string Name, string? Value) key)
    {
        if (cert.Value is not null && key.Value is null) MistakeOnce(cert.Name, $"a certificate needs its key: set {key.Name} too");
        if (key.Value is not null && cert.Value is null) MistakeOnce(key.Name, $"a key needs its certificate: set {cert.Name} too");
    }

    private void MistakeOnce(string variable, string message)
    {
        if (!_mistakes.Contains(new SettingMistake(variable, message))) Mistake(variable, message);
    }

    // ---- mesh -------------------------------------------------------------------------------------------------

    private MeshSettings ReadMesh()
    {
        var mesh = new MeshSettings
        {
            Peers = ReadPeers(),
            Listen = ReadListen(Variables.MeshListen, ""),
            NatsServer = OptionalText(Variables.NatsServer) ?? Variables.DefaultNatsServer,
            NatsUrl = ReadNatsUrl(),
        };
        string[] names = [Variables.MeshCert, Variables.MeshKey, Variables.MeshCa];
        var missing = names.Where(name => OptionalText(name) is null).ToArray();
        if (missing.Length is 1 or 2)
            Mistake(missing[0], $"{string.Join(" and ", names.Except(missing))} {(missing.Length == 2 ? "is" : "are")} set: a site's mesh identity is all three, set {string.Join(" and ", missing)} too");
        return missing.Length > 0
            ? mesh
            : mesh with { Tls = new MeshTlsSettings(Text(Variables.MeshCert), Text(Variables.MeshKey), Text(Variables.MeshCa)) };
    }

    private ImmutableArray<PeerSettings> ReadPeers()
    {
        var peers = ImmutableArray.CreateBuilder<PeerSettings>();
        var entries = List(Variables.Peers);
        if (entries.Length >= Bounds.SiteCountMax)
            Mistake(Variables.Peers, $"{entries.Length} peers; a mesh has at most {Bounds.SiteCountMax} sites");
        foreach (var entry in entries.Take(Bounds.SiteCountMax))
        {
            var at = entry.IndexOf('@', StringComparison.Ordinal);
            var name = at < 0 ? entry : entry[..at].Trim();
            HostPort? address = null;
            if (!ScopeParser.IsName(name) || IsReserved(name))
                Mistake(Variables.Peers, $"'{Shown.Of(name)}' is no site's name; {NameRule}; a peer is name@address:port, or name alone");
            else if (at >= 0 && HostPort.TryParse(entry[(at + 1)..].Trim(), out address) is { } wrong)
                Mistake(Variables.Peers, $"{name}: {wrong}");
            else if (peers.Any(peer => peer.Site == name))
                Mistake(Variables.Peers, $"'{name}' is named twice");
            else
                peers.Add(new PeerSettings(name, address));
        }

        return peers.ToImmutable();
    }

    private NatsUrl? ReadNatsUrl()
    {
        // It may carry a password: a wrong one is never shown.
        if (OptionalText(Variables.NatsUrl) is not { } text) return null;
        if (!text.Any(char.IsWhiteSpace) && Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "nats" or "tls" && url.Host.Length > 0 && url.PathAndQuery is "/" or "")
            return new NatsUrl(url);
        Mistake(Variables.NatsUrl, "expected the URL of a NATS server: nats://host:port or tls://host:port, with user:password@ before the host where it asks for them");
        return null;
    }
}
