using System.Text.RegularExpressions;
using Cheops.Proto;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>
/// A second route to the same verdict: which requests are accepted, written from the grammars of RFC 9110, 9112 and 3986
/// and the strictness list of the design with regular expressions, slow and plain.
/// </summary>
public static partial class RequestReference
{
    private static readonly string[] NeverUnderscored =
    [
        "content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "proxy-authorization", "x-auth-token",
    ];

    private static readonly string[] NeverNamed =
    [
        "host", "content-length", "connection", "expect", "scope", "via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix",
        "traceparent", "x-request-id", "x-openstack-request-id", "authorization", "cookie", "location", "content-type", "x-auth-token", "max-forwards",
    ];

    [GeneratedRegex(@"\A(?<method>[-!#$%&'*+.^_`|~0-9A-Za-z]{1,32}) (?<target>[\x21\x22\x24-\x7E]+) HTTP/1\.(?<minor>[0-9])\z", RegexOptions.ExplicitCapture)]
    private static partial Regex StartLine { get; }

    [GeneratedRegex(@"\A(?:(?i:https?)://(?<authority>[^/?]+)(?:[/?].*)?|/.*)\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Target { get; }

    [GeneratedRegex(@"\A(?<name>[-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*(?<value>(?:[\x21-\x7E\x80-\xFF](?:[\t\x20-\x7E\x80-\xFF]*[\x21-\x7E\x80-\xFF])?)?)[ \t]*\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Field { get; }

    [GeneratedRegex(@"\A(?:\[[0-9A-Fa-f:.]{2,}\]|[-A-Za-z0-9._~%!$&'()*+;=]+)(?::(?<port>[0-9]{0,5}))?\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Authority { get; }

    [GeneratedRegex(@"\A[-!#$%&'*+.^_`|~0-9A-Za-z]+\z")]
    private static partial Regex Token { get; }

    /// <summary>Whether a whole head, its blank line included, is accepted.</summary>
    public static bool Accepts(string head)
    {
        if (head.Length > Bounds.HeadSizeMax || !head.EndsWith("\r\n\r\n", StringComparison.Ordinal)) return false;
        var lines = head[..^4].Split("\r\n");
        if (lines.Length - 1 > Bounds.FieldCountMax || lines.Any(line => line.Contains('\r') || line.Contains('\n'))) return false;
        var start = StartLine.Match(lines[0]);
        var fields = lines.Skip(1).Select(line => Field.Match(line)).ToArray();
        if (!start.Success || fields.Any(field => !field.Success)) return false;

        string[] Values(string name) => [.. fields.Where(field => field.Groups["name"].Value.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(field => field.Groups["value"].Value)];
        return TakesTarget(start.Groups["method"].Value, start.Groups["target"].Value, out var authority)
            && TakesHost(Values("host"), authority, start.Groups["minor"].Value == "0")
            && TakesFraming(Values("content-length"), Values("transfer-encoding"), start.Groups["minor"].Value == "0")
            && fields.All(field => !IsLookalike(field.Groups["name"].Value.ToLowerInvariant()))
            && Values("connection").SelectMany(Elements).All(TakesOption)
            && (start.Groups["method"].Value is not ("OPTIONS" or "TRACE") || TakesForwards(Values("max-forwards")))
            && Values("expect").All(value => value.Equals("100-continue", StringComparison.OrdinalIgnoreCase));
    }

    private static bool TakesTarget(string method, string target, out string authority)
    {
        authority = "";
        if (method == "CONNECT" || target.Length > Bounds.TargetSizeMax) return false;
        if (target == "*") return method == "OPTIONS";
        var match = Target.Match(target);
        authority = match.Groups["authority"].Value;
        return match.Success && (authority.Length == 0 || IsAuthority(authority));
    }

    private static bool IsAuthority(string text)
    {
        var match = Authority.Match(text);
        return match.Success && (match.Groups["port"].Value.Length == 0 || int.Parse(match.Groups["port"].Value, System.Globalization.CultureInfo.InvariantCulture) <= 65535);
    }

    private static bool TakesHost(string[] hosts, string authority, bool old) =>
        hosts.Length switch
        {
            0 => old,
            1 => (hosts[0].Length == 0 || IsAuthority(hosts[0])) && (authority.Length == 0 || authority.Equals(hosts[0], StringComparison.OrdinalIgnoreCase)),
            _ => false,
        };

    private static bool TakesFraming(string[] lengths, string[] codings, bool old)
    {
        if (codings.Length > 0) return !old && lengths.Length == 0 && codings is [var coding] && coding.Equals("chunked", StringComparison.OrdinalIgnoreCase);
        return lengths.Length == 0 || (lengths is [var length] && length.Length is > 0 and <= 18 && length.All(char.IsAsciiDigit));
    }

    private static bool TakesForwards(string[] counts) => counts is [] || (counts is [var count] && count.Length > 0 && count.All(char.IsAsciiDigit));

    private static bool IsLookalike(string name)
    {
        var dashed = name.Replace('_', '-');
        return dashed != name && (NeverUnderscored.Contains(dashed) || dashed.StartsWith("cheops-", StringComparison.Ordinal) || dashed.StartsWith("x-remote-", StringComparison.Ordinal));
    }

    private static bool TakesOption(string option)
    {
        var name = option.ToLowerInvariant();
        return Token.IsMatch(option) && !NeverNamed.Contains(name) && !name.StartsWith("cheops-", StringComparison.Ordinal) && !name.StartsWith("x-remote-", StringComparison.Ordinal);
    }

    private static IEnumerable<string> Elements(string list) => list.Split(',').Select(element => element.Trim(' ', '\t')).Where(element => element.Length > 0);
}
