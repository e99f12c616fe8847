using System.Collections.Immutable;
using Cheops.Agent.Identity;
using Cheops.Agent.Settings;
using Cheops.Agent.Transport;

namespace Cheops.Agent.Hosting;

/// <summary>This site's own credentials, as its settings name them.</summary>
internal static class SiteCredentials
{
    /// <summary>Makes them.</summary>
    /// <param name="settings">Gives the settings in force.</param>
    /// <param name="deadlines">Where time is counted.</param>
    /// <param name="time">The clock.</param>
    public static ServiceCredentials Make(Func<AgentSettings> settings, Deadlines deadlines, TimeProvider time)
    {
        return new ServiceCredentials(new KeystoneTokens(DialAsync, deadlines), time) { Files = FilesOf(settings()) };

        // An identity service is checked by the same authorities as the service whose tokens it gives.
        ValueTask<Channel> DialAsync(string service, UpstreamAddress address, CancellationToken cancellation) =>
            new ServiceConnector(settings().Services.First(one => one.Name == service) with { Upstream = address }).ConnectAsync(asFrontProxy: false, cancellation);
    }

    /// <summary>The files, by service.</summary>
    public static ImmutableDictionary<string, string> FilesOf(AgentSettings settings) =>
        settings.Services.Where(service => service.CredentialFile is not null).ToImmutableDictionary(service => service.Name, service => service.CredentialFile!);
}
