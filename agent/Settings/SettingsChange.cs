using System.Collections.Immutable;

namespace Cheops.Agent.Settings;

/// <summary>What differs between the settings that an agent runs with and those it was given since.</summary>
public static class SettingsChange
{
    /// <summary>The variables whose change only a restart takes over, in the order in which people are told of them.</summary>
    /// <param name="before">The settings in force.</param>
    /// <param name="after">The settings as they are now.</param>
    /// <remarks>Peers, and the names of certificate and key files, may change freely; TLS itself may not come or go.</remarks>
    public static ImmutableArray<string> NeedingRestart(AgentSettings before, AgentSettings after) =>
        [.. Fixed(before).Zip(Fixed(after)).Where(pair => pair.First.Value != pair.Second.Value).Select(pair => pair.First.Variable)];

    private static IEnumerable<(string Variable, string Value)> Fixed(AgentSettings settings)
    {
        var mesh = settings.Mesh;
        yield return (Variables.Site, settings.Site);
        yield return (Variables.Services, string.Join(',', settings.Services.Select(service => $"{service.Name}@{string.Join('+', service.Listen)}={service.Upstream}")));
        yield return (Variables.MeshListen, $"{mesh.Listen}");
        yield return (Variables.MeshCert, $"{mesh.Tls}");
        yield return (Variables.NatsServer, mesh.NatsServer);
        yield return (Variables.NatsUrl, mesh.NatsUrl?.Secret.ToString() ?? "");
        yield return (Variables.ApiListen, $"{settings.ApiListen}");
        yield return (Variables.Data, settings.DataDirectory);
        yield return (Variables.Profiles, string.Join(',', settings.Profiles.Select(profile => profile.Name)));
        yield return (Variables.TlsCert, string.Join(',', settings.Services.Select(service => service.Tls is not null)));
    }
}
