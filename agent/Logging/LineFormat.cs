using System.Globalization;
using System.Text;
using Cheops.Proto;
using Microsoft.Extensions.Logging;

namespace Cheops.Agent.Logging;

/// <summary>
/// One event as one line of <c>name=value</c> pairs (logfmt): <c>time</c>, <c>level</c>, <c>part</c>, <c>event</c>,
/// <c>msg</c>, then the event's own values, then <c>error</c>. Under systemd a priority such as <c>&lt;4&gt;</c> comes
/// first and the time is left to the journal. Control characters are escaped, so that nothing from outside can begin a
/// line; values whose name tells that they are secret are not written.
/// </summary>
/// <param name="forJournal">Whether the journal reads the lines.</param>
public sealed class LineFormat(bool forJournal)
{
    private const string OriginalFormat = "{OriginalFormat}";

    private static readonly string[] SecretNames = ["authorization", "token", "cookie", "password", "secret", "credential"];

    /// <summary>The line, with its line feed.</summary>
    /// <param name="at">When it happened.</param>
    /// <param name="level">How important it is.</param>
    /// <param name="part">The part of the agent.</param>
    /// <param name="name">The event's name; empty for none.</param>
    /// <param name="message">What happened, for a person.</param>
    /// <param name="values">Its values by name.</param>
    /// <param name="error">The exception behind it.</param>
    public string Format(
        DateTimeOffset at, LogLevel level, string part, string name, string message, IEnumerable<KeyValuePair<string, object?>>? values, Exception? error)
    {
        var line = new StringBuilder(256);
        if (forJournal)
            line.Append('<').Append(Priority(level)).Append('>');
        else
            line.Append(CultureInfo.InvariantCulture, $"time={at.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss.fff'Z'} ");
        line.Append("level=").Append(NameOf(level));
        if (part.Length > 0) Append(line, "part", part);
        if (name.Length > 0) Append(line, "event", name);
        Append(line, "msg", message);
        var template = values?.FirstOrDefault(pair => pair.Key == OriginalFormat).Value as string ?? "";
        foreach (var (key, value) in values ?? [])
        {
            // What the message says already is not said twice.
            if (key != OriginalFormat && !template.Contains($"{{{key}}}", StringComparison.Ordinal)) Append(line, KeyOf(key), IsSecret(key) ? "[not logged]" : Print(value));
        }

        if (error is not null) Append(line, "error", level >= LogLevel.Error ? error.ToString() : error.Message);
        if (line.Length > Bounds.LogLineLengthMax) line.Length = Bounds.LogLineLengthMax;
        return line.Append('\n').ToString();
    }

    // syslog's severities (RFC 5424 6.2.1), as sd-daemon(3) reads them.
    private static char Priority(LogLevel level) => level switch
    {
        LogLevel.Critical => '2',
        LogLevel.Error => '3',
        LogLevel.Warning => '4',
        LogLevel.Information => '6',
        _ => '7',
    };

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Critical or LogLevel.Error => "error",
        LogLevel.Warning => "warn",
        LogLevel.Information => "info",
        _ => "debug",
    };

    private static bool IsSecret(string key) => Array.Exists(SecretNames, name => key.Contains(name, StringComparison.OrdinalIgnoreCase));

    // "RetrySafe" in a message's template is written retrySafe.
    private static string KeyOf(string key) => key.Length > 0 && char.IsAsciiLetterUpper(key[0]) ? char.ToLowerInvariant(key[0]) + key[1..] : key;

    private static string Print(object? value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    private static void Append(StringBuilder line, string key, string value)
    {
        line.Append(' ').Append(key).Append('=');
        if (value.Length > 0 && value.All(IsBare))
        {
            line.Append(value);
            return;
        }

        line.Append('"');
        foreach (var c in value)
        {
            if (line.Length >= Bounds.LogLineLengthMax - 1) break;
            switch (c)
            {
                case '"' or '\\': line.Append('\\').Append(c); break;
                case '\n': line.Append("\\n"); break;
                case '\t': line.Append("\\t"); break;
                // C1 controls and the separators that terminals and readers take for line ends.
                case < ' ' or (>= '\x7F' and <= '\x9F') or '\u2028' or '\u2029':
                    line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
                default: line.Append(c); break;
            }
        }

        line.Append('"');
    }

    private static bool IsBare(char c) => c is > ' ' and <= '~' and not ('"' or '=' or '\\');
}
