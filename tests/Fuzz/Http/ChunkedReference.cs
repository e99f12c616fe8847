using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Cheops.Proto;

namespace Cheops.Tests.Fuzz.Http;

/// <summary>A second route to what a whole chunked body decodes to, from the grammar of RFC 9112 7.1, slow and plain.</summary>
public static partial class ChunkedReference
{
    private static readonly string[] Forbidden =
    [
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade", "http2-settings", "expect",
        "scope", "via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "traceparent", "tracestate", "baggage", "x-request-id",
        "x-openstack-request-id", "authorization", "cookie", "location", "content-type", "x-auth-token", "content-encoding", "content-range", "set-cookie", "range", "max-forwards",
        "www-authenticate", "proxy-authenticate",
    ];

    [GeneratedRegex(
        """\A(?<size>[0-9A-Fa-f]{1,15})(?<extension>(?:[ \t]*;[ \t]*[-!#$%&'*+.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[-!#$%&'*+.^_`|~0-9A-Za-z]+|"(?:[\t\x20\x21\x23-\x5B\x5D-\x7E\x80-\xFF]|\\[\t\x20-\x7E\x80-\xFF])*"))?)*)\z""",
        RegexOptions.ExplicitCapture)]
    private static partial Regex SizeLine { get; }

    [GeneratedRegex(@"\A(?<name>[-!#$%&'*+.^_`|~0-9A-Za-z]+):[\t\x20-\x7E\x80-\xFF]*\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Trailer { get; }

    /// <summary>Decodes the body at the start of <paramref name="text"/>.</summary>
    /// <returns>The data and the trailer lines; null when the body is not complete, or not acceptable.</returns>
    public static (string Data, string Trailers)? Decode(string text)
    {
        var data = new StringBuilder();
        var at = 0;
        while (true)
        {
            var end = text.IndexOf("\r\n", at, StringComparison.Ordinal);
            if (end < 0) return null;
            var line = SizeLine.Match(text[at..end]);
            if (!line.Success || line.Groups["extension"].Length >= Bounds.ChunkExtensionSizeMax) return null;
            var size = long.Parse(line.Groups["size"].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            at = end + 2;
            if (size == 0) break;
            if (size > text.Length - at - 2 || text.AsSpan(at + (int)size, 2) is not "\r\n") return null;
            data.Append(text, at, (int)size);
            at += (int)size + 2;
        }

        return Trailers(text[at..]) is { } trailers ? (data.ToString(), trailers) : null;
    }

    private static string? Trailers(string text)
    {
        var end = text.StartsWith("\r\n", StringComparison.Ordinal) ? 0 : text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 2;
        if (end == 1) return null;
        var section = text[..end];
        var lines = section.Split("\r\n", StringSplitOptions.None)[..^1];
        var names = lines.Select(line => Trailer.Match(line)).ToArray();
        if (section.Length > Bounds.TrailerSizeMax || lines.Length > Bounds.FieldCountMax || names.Any(name => !name.Success)) return null;
        return names.Any(match => IsForbidden(match.Groups["name"].Value.ToLowerInvariant())) ? null : section;
    }

    private static bool IsForbidden(string name)
    {
        var dashed = name.Replace('_', '-');
        string[] lookalikes = ["content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "proxy-authorization", "x-auth-token"];
        return Forbidden.Contains(name) || lookalikes.Contains(dashed) || dashed.StartsWith("cheops-", StringComparison.Ordinal) || dashed.StartsWith("x-remote-", StringComparison.Ordinal);
    }
}
