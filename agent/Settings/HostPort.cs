using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Cheops.Agent.Settings;

/// <summary>An address: a host name or IP address, and a port.</summary>
/// <param name="Host">The name or address, IPv6 without brackets.</param>
/// <param name="Port">The port, 1 to 65535.</param>
public sealed record HostPort(string Host, int Port)
{
    private const int NameLengthMax = 253;
    private const int LabelLengthMax = 63;

    /// <summary>Whether the address is on this machine only.</summary>
    public bool IsLoopback => IPAddress.TryParse(Host, out IPAddress? address) ? IPAddress.IsLoopback(address) : Host == "localhost";

    /// <summary>As it is written in a setting.</summary>
    public override string ToString() => Print(Host, Port);

    internal static string Print(string host, int port) =>
        (host.Contains(':', StringComparison.Ordinal) ? $"[{host}]:" : $"{host}:") + port.ToString(CultureInfo.InvariantCulture);

    /// <summary>Reads <c>host:port</c>, <c>1.2.3.4:port</c> or <c>[::1]:port</c>.</summary>
    /// <returns>Null when it is one; else what is wrong with it.</returns>
    internal static string? TryParse(string text, out HostPort address)
    {
        address = new HostPort("", 0);
        if (text.Length == 0) return "the address is empty";
        string host, port;
        if (text[0] == '[')
        {
            var end = text.IndexOf("]:", StringComparison.Ordinal);
            if (end < 0) return $"'{Shown.Of(text)}' is no address: an IPv6 address is written [address]:port";
            (host, port) = (text[1..end], text[(end + 2)..]);
            if (!IPAddress.TryParse(host, out var v6) || v6.AddressFamily != AddressFamily.InterNetworkV6)
                return $"'{Shown.Of(host)}' is no IPv6 address";
        }
        else
        {
            var colon = text.LastIndexOf(':');
            if (colon < 0) return $"'{Shown.Of(text)}' has no port: write address:port";
            (host, port) = (text[..colon], text[(colon + 1)..]);
            if (host.Contains(':', StringComparison.Ordinal)) return $"'{Shown.Of(text)}' is no address: an IPv6 address is written [address]:port";
            if (!IsIpv4(host) && !IsHostName(host)) return $"'{Shown.Of(host)}' is neither an address nor a host name";
        }

        if (ParsePort(port) is not { } number) return $"'{Shown.Of(port)}' is no port: expected a number from 1 to 65535";
        address = new HostPort(host, number);
        return null;
    }

    /// <summary>Reads an address to listen at: a name would need looking up, and may be several.</summary>
    internal static string? TryParseListen(string text, out IPEndPoint endPoint)
    {
        endPoint = new IPEndPoint(IPAddress.None, 0);
        if (TryParse(text, out var address) is { } wrong) return wrong;
        if (!IPAddress.TryParse(address.Host, out IPAddress? ip))
            return $"'{Shown.Of(address.Host)}' is a host name; the agent listens at IP addresses, such as 127.0.0.1 or [::1], or 0.0.0.0 for all";
        endPoint = new IPEndPoint(ip, address.Port);
        return null;
    }

    internal static int? ParsePort(string text) =>
        text.Length is > 0 and <= 5 && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535
            ? port
            : null;

    internal static bool IsHost(string text) => IsIpv4(text) || IsHostName(text);

    // Four numbers: what .NET also takes for an address (1.2, 0x7f000001) is more likely a slip.
    private static bool IsIpv4(string text) =>
        text.Count(c => c == '.') == 3 && IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetwork
        && address.ToString() == text;

    // RFC 1123 2.1; underscores occur in names that container engines give. A last label of digits only is a mistyped address.
    private static bool IsHostName(string text)
    {
        if (text.Length is 0 or > NameLengthMax) return false;
        var labels = text.Split('.');
        return labels.All(IsLabel) && !labels[^1].All(char.IsAsciiDigit);
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= LabelLengthMax && label[0] != '-' && label[^1] != '-'
        && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
