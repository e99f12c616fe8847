using System.Collections.Immutable;
using System.Globalization;
using Cheops.Proto;

namespace Cheops.Agent.Profiles;

/// <summary>Reads how a service's requests are correlated: <c>propagate</c> and <c>correlate</c>.</summary>
internal static class CorrelationReader
{
    // Fields that a proxy must never take for an id, or set.
    private static readonly ImmutableArray<string> Reserved =
    [
        "authorization", "connection", "content-length", "content-type", "cookie", "host", "scope", "set-cookie", "te",
        "trailer", "transfer-encoding", "upgrade", "via", "x-auth-token",
    ];

    public static Correlation Read(ProfileObject service, Correlation defaults)
    {
        var carriesOn = service.Has("propagate") || service.Has("correlate");
        var propagated = ReadNames(service, "propagate");
        var document = service.Object("correlate");
        if (!carriesOn)
            return defaults;
        var send = document is null ? [] : ReadSend(document);
        var match = document is null ? [] : ReadNames(document, "match");
        if (document is not null && !document.Has("match"))
            match = [.. send.Select(field => field.Name)];
        var correlation = new Correlation
        {
            Send = [.. send, .. propagated.Select(name => new CorrelationField(name, IdFormat.Plain, IsVerbatim: true))],
            Match = [.. match.Concat(propagated).Distinct()],
            Learn = document is null ? [] : ReadNames(document, "learn"),
            Keep = document is null ? defaults.Keep : ReadKeep(document, defaults.Keep),
        };
        document?.Done();
        return correlation;
    }

    private static List<CorrelationField> ReadSend(ProfileObject document)
    {
        var fields = new List<CorrelationField>();
        foreach (var (name, element, path) in document.Object("send")?.Members ?? [])
        {
            if (document.TextOf(element, path) is not { } format || !CheckName(document, path, name))
                continue;
            if (IdFormat.Parse(format) is { } parsed)
                fields.Add(new CorrelationField(name.ToLowerInvariant(), parsed));
            else
                document.Mistake(path, $"'{format}' is not a format; one has <uuid> or <hex> in it once, such as req-<uuid>");
        }

        return fields;
    }

    private static ImmutableArray<string> ReadNames(ProfileObject document, string member) =>
        [.. document.Texts(member).Where(name => CheckName(document, document.PathOf(member), name)).Select(name => name.ToLowerInvariant()).Distinct()];

    private static bool CheckName(ProfileObject document, string path, string name)
    {
        if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            document.Mistake(path, $"'{name}' is not a field name of letters, digits, '-' and '_', at most 64");
        else if (Reserved.Contains(name.ToLowerInvariant()))
            document.Mistake(path, $"'{name}' has another meaning and cannot carry an id");
        else
            return true;
        return false;
    }

    private static TimeSpan ReadKeep(ProfileObject document, TimeSpan otherwise)
    {
        if (document.Text("keep") is not { } text)
            return otherwise;
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        var secondsPerUnit = text[digits..] switch { "s" => 1, "m" => 60, "h" => 3600, _ => 0 };
        if (digits is > 0 and <= 6 && secondsPerUnit > 0)
        {
            var keep = TimeSpan.FromSeconds(long.Parse(text.AsSpan(0, digits), CultureInfo.InvariantCulture) * secondsPerUnit);
            if (keep > TimeSpan.Zero && keep.TotalMilliseconds <= Bounds.WorkflowKeepMaxMs)
                return keep;
        }

        document.Mistake(document.PathOf("keep"), $"'{text}' is not a time from 1s to {Bounds.WorkflowKeepMaxMs / 3_600_000}h, such as 90s, 30m or 2h");
        return otherwise;
    }
}
