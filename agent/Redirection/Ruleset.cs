using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Cheops.Agent.Redirection;

/// <summary>Traffic for a service instance that is to go to the agent's listener instead.</summary>
/// <param name="Service">The service.</param>
/// <param name="Instance">Where its instance is, and traffic is meant to go.</param>
/// <param name="Listener">Where the agent listens for it.</param>
public sealed record Redirect(string Service, IPEndPoint Instance, IPEndPoint Listener);

/// <summary>Whose connections are the agent's own and pass to the instance.</summary>
public abstract record OwnTraffic
{
    /// <summary>Those of a user.</summary>
    /// <param name="User">The user's name or number.</param>
    public sealed record OfUser(string User) : OwnTraffic;

    /// <summary>Those of a control group, and the groups below it.</summary>
    /// <param name="Path">Its path below the root of cgroup2, such as <c>system.slice/cheops.service</c>.</param>
    public sealed record OfControlGroup(string Path) : OwnTraffic;
}

/// <summary>Writes the nftables rules of one site, in a table of its own; pure.</summary>
public static class Ruleset
{
    /// <summary>The name of a site's table; every name of a site is one that nftables takes.</summary>
    public static string TableOf(string site) => $"cheops_{site}";

    /// <summary>The commands that put the rules in place of whatever the table held, in one transaction.</summary>
    public static string Install(string site, ImmutableArray<Redirect> redirects, OwnTraffic own)
    {
        var text = new StringBuilder(Remove(site));
        text.Append(CultureInfo.InvariantCulture, $"table inet {TableOf(site)} {{\n");
        text.Append("  chain output {\n    type nat hook output priority -100; policy accept;\n    ").Append(Match(own)).Append(" accept\n");
        foreach (var redirect in redirects) AppendRule(text, redirect);
        text.Append("  }\n");

        // From other hosts; loopback addresses are never reached from there.
        text.Append("  chain prerouting {\n    type nat hook prerouting priority -100; policy accept;\n");
        foreach (var redirect in redirects.Where(one => !IPAddress.IsLoopback(one.Instance.Address))) AppendRule(text, redirect);
        return text.Append("  }\n}\n").ToString();
    }

    /// <summary>The commands that remove the table, whether it is there or not.</summary>
    public static string Remove(string site) => $"add table inet {TableOf(site)}\ndelete table inet {TableOf(site)}\n";

    private static string Match(OwnTraffic own) => own switch
    {
        OwnTraffic.OfUser user => $"meta skuid {(user.User.All(char.IsAsciiDigit) ? user.User : $"\"{user.User}\"")}",
        OwnTraffic.OfControlGroup group => string.Create(
            CultureInfo.InvariantCulture, $"socket cgroupv2 level {group.Path.Split('/').Length} \"{group.Path}\""),
        _ => throw new ArgumentOutOfRangeException(nameof(own)),
    };

    private static void AppendRule(StringBuilder text, Redirect redirect)
    {
        var family = redirect.Instance.AddressFamily == AddressFamily.InterNetworkV6 ? "ip6" : "ip";
        var listener = redirect.Listener;
        var isAny = listener.Address.Equals(IPAddress.Any) || listener.Address.Equals(IPAddress.IPv6Any);
        var to = isAny ? $"redirect to :{listener.Port}" : $"dnat {family} to {listener}";
        text.Append(CultureInfo.InvariantCulture, $"    {family} daddr {redirect.Instance.Address} tcp dport {redirect.Instance.Port} counter {to} comment \"{redirect.Service}\"\n");
    }
}
