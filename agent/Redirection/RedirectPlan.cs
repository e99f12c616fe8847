using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Cheops.Agent.Settings;

namespace Cheops.Agent.Redirection;

/// <summary>Tells from the settings what is to be redirected where.</summary>
public static class RedirectPlan
{
    /// <summary>One redirect per address of each service's instance.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="services">The services; all when empty.</param>
    /// <param name="resolve">Looks up an instance's host name.</param>
    /// <param name="mistakes">Why a service cannot be redirected.</param>
    public static ImmutableArray<Redirect> Of(
        AgentSettings settings, ImmutableArray<string> services, Func<string, IPAddress[]> resolve, out ImmutableArray<string> mistakes)
    {
        var redirects = ImmutableArray.CreateBuilder<Redirect>();
        var wrong = ImmutableArray.CreateBuilder<string>();
        foreach (var unknown in services.Where(name => settings.Services.All(service => service.Name != name)))
            wrong.Add($"there is no service '{unknown}' in CHEOPS_SERVICES{Proto.NearestName.Hint(unknown, settings.Services.Select(service => service.Name))}");
        foreach (var service in settings.Services.Where(one => services.IsEmpty || services.Contains(one.Name)))
        {
            if (service.Upstream.Tls != service.Tls is not null)
            {
                wrong.Add($"{service.Name}: its instance speaks {(service.Upstream.Tls ? "TLS" : "plain HTTP")} and its listener {(service.Tls is null ? "plain HTTP" : "TLS")}; what is redirected would not understand the other");
                continue;
            }

            foreach (var address in AddressesOf(service.Upstream, resolve, wrong))
            {
                var listener = service.Listen.FirstOrDefault(one => one.AddressFamily == address.AddressFamily);
                if (listener is null)
                    wrong.Add($"{service.Name}: its instance is at {address}, and no listener has an address of that family");
                else
                    redirects.Add(new Redirect(service.Name, new IPEndPoint(address, service.Upstream.Port), listener));
            }
        }

        mistakes = wrong.ToImmutable();
        return redirects.ToImmutable();
    }

    private static IPAddress[] AddressesOf(UpstreamAddress upstream, Func<string, IPAddress[]> resolve, ImmutableArray<string>.Builder wrong)
    {
        if (IPAddress.TryParse(upstream.Host, out var address)) return [address];
        try
        {
            return resolve(upstream.Host);
        }
        catch (SocketException e)
        {
            wrong.Add($"{upstream.Host} cannot be looked up: {e.Message}");
            return [];
        }
    }
}
