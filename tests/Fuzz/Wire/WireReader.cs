using System.Globalization;
using System.Text.RegularExpressions;

namespace Cheops.Tests.Fuzz.Wire;

/// <summary>
/// A second reader of HTTP/1.1, written apart from the product's: over whole texts (a character a byte), line by line,
/// slow and plain. What it lets pass besides the grammar is its <see cref="Habits"/>.
/// </summary>
public sealed partial class WireReader(Habits habits)
{
    [GeneratedRegex(@"\A(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1|HTTP/1\.1 [1-9][0-9]{2} [\t -~\x80-\xFF]*)\z")]
    private static partial Regex StartLine { get; }

    [GeneratedRegex(@"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+:(?:[\t -~\x80-\xFF]*)\z")]
    private static partial Regex FieldLine { get; }

    [GeneratedRegex(@"\A[0-9A-Fa-f]{1,15}(?:[ \t]*;[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|""[^""\r\n]*""))?)*\z")]
    private static partial Regex ChunkLine { get; }

    private bool IsStrict => habits == Habits.Strict;

    /// <summary>Reads the message that begins at <paramref name="at"/>.</summary>
    /// <param name="text">All that was received.</param>
    /// <param name="at">Where it begins; moved behind it when it is whole.</param>
    /// <param name="method">The method that an answer answers; null for a request.</param>
    /// <param name="ended">Whether no more will come.</param>
    /// <returns>The message; null when more is needed.</returns>
    /// <exception cref="WireException">It is no HTTP.</exception>
    public WireMessage? Read(string text, ref int at, string? method = null, bool ended = false)
    {
        var rest = at;
        if (Head(text, ref rest) is not { } head) return null;
        var message = new WireMessage(head.Start, head.Fields, Framing(head.Fields, Status(head.Start), method), "", []);
        var whole = message.Framing switch
        {
            "length" => Length(message, text, ref rest),
            "chunked" => Chunks(message, text, ref rest),
            "close" => ended ? message with { Body = Take(text, ref rest, text.Length - rest) } : null,
            _ => message,
        };
        if (whole is not null) at = rest;
        return whole;
    }

    /// <summary>Reads the head that begins at <paramref name="at"/>, without its body.</summary>
    /// <returns>The message without its body; null when more is needed.</returns>
    public WireMessage? ReadHead(string text, ref int at, string? method = null) =>
        Head(text, ref at) is { } head ? new WireMessage(head.Start, head.Fields, Framing(head.Fields, Status(head.Start), method), "", []) : null;

    private static int Status(string start) => start.StartsWith("HTTP/", StringComparison.Ordinal) && start.Length >= 12 && int.TryParse(start.AsSpan(9, 3), out var status) ? status : 0;

    // ---- lines --------------------------------------------------------------------------------------------------

    private string? Line(string text, ref int at)
    {
        var end = text.IndexOf('\n', at);
        if (habits.EndsLinesAtCarriageReturn && text.IndexOf('\r', at) is var stop and >= 0 && (end < 0 || stop < end))
        {
            if (stop + 1 == text.Length) return null;
            var line = text[at..stop];
            at = stop + (text[stop + 1] == '\n' ? 2 : 1);
            return line;
        }

        if (end < 0) return null;
        var found = text[at..end];
        at = end + 1;
        if (found.EndsWith('\r')) found = found[..^1];
        else if (!habits.EndsLinesAtLineFeed) throw new WireException($"a line ends in a line feed alone: {found}");
        if (IsStrict && found.Contains('\r')) throw new WireException("a carriage return stands alone");
        return found;
    }

    private (string Start, (string, string)[] Fields)? Head(string text, ref int at)
    {
        var rest = at;
        if (Line(text, ref rest) is not { } start) return null;
        if (IsStrict && !StartLine.IsMatch(start)) throw new WireException($"no start line: {start}");
        if (Fields(text, ref rest) is not { } fields) return null;
        at = rest;
        return (start, fields);
    }

    private (string Name, string Value)[]? Fields(string text, ref int at)
    {
        var fields = new List<(string Name, string Value)>();
        while (true)
        {
            if (Line(text, ref at) is not { } line) return null;
            if (line.Length == 0) return [.. fields];
            if (line[0] is ' ' or '\t' && habits.JoinsFoldedLines && fields.Count > 0)
            {
                fields[^1] = (fields[^1].Name, fields[^1].Value + " " + line.Trim());
                continue;
            }

            if (IsStrict && !FieldLine.IsMatch(line)) throw new WireException($"no field: {line}");
            var colon = line.IndexOf(':');
            if (colon == 0 && habits.EndsHeadAtEmptyName) return [.. fields];
            if (colon >= 0) fields.Add((Name(line[..colon]), line[(colon + 1)..].Trim(' ', '\t')));
        }
    }

    private string Name(string name)
    {
        if (habits.TrimsNames) name = name.Trim();
        if (habits.ReadsUnderscoresAsDashes) name = name.Replace('_', '-');
        return name.ToLowerInvariant();
    }

    // ---- bodies -------------------------------------------------------------------------------------------------

    private string Framing((string Name, string Value)[] fields, int status, string? method)
    {
        var codings = habits.KnowsNoCodings ? [] : Of("transfer-encoding");
        var lengths = Of("content-length");
        if (IsStrict) Singular(codings, lengths);
        if (method is not null && (status is < 200 or 204 or 304 || method == "HEAD")) return "none";
        var chunked = habits.FindsChunkedAnywhere
            ? codings.Any(coding => coding.Contains("chunked", StringComparison.OrdinalIgnoreCase))
            : codings.LastOrDefault()?.Trim().EndsWith("chunked", StringComparison.OrdinalIgnoreCase) == true;
        if (lengths.Length > 0 && (habits.PrefersLength || !chunked)) return "length";
        return chunked ? "chunked" : method is null ? "none" : "close";

        string[] Of(string name) => [.. fields.Where(field => field.Name == name).Select(field => field.Value)];
    }

    private static void Singular(string[] codings, string[] lengths)
    {
        if (codings.Length + lengths.Length > 1) throw new WireException($"more than one framing: {string.Join(" | ", codings.Concat(lengths))}");
        if (codings is [var coding] && !coding.Equals("chunked", StringComparison.OrdinalIgnoreCase)) throw new WireException($"a coding other than chunked: {coding}");
        if (lengths is [var length] && !length.All(char.IsAsciiDigit)) throw new WireException($"a length that is no number: {length}");
    }

    private WireMessage? Length(WireMessage message, string text, ref int at)
    {
        var lengths = message.Values("content-length");
        var said = habits.TakesLastLength ? lengths[^1].Split(',')[^1] : lengths[0].Split(',')[0];
        if (!long.TryParse(said.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var length)) length = 0;
        if (length > text.Length - at) return null;
        return message with { Body = Take(text, ref at, (int)length) };
    }

    private WireMessage? Chunks(WireMessage message, string text, ref int at)
    {
        var body = "";
        while (true)
        {
            if (Line(text, ref at) is not { } line) return null;
            if (IsStrict && !ChunkLine.IsMatch(line)) throw new WireException($"no chunk size: {line}");
            var size = Size(line);
            if (size == 0) return Fields(text, ref at) is { } trailers ? message with { Body = body, Trailers = trailers } : null;
            if (size + 2 > text.Length - at) return null;
            body += Take(text, ref at, (int)size);
            var end = Take(text, ref at, 2);
            if (end != "\r\n" && !habits.SkipsChunkEnds) throw new WireException("a chunk's data is not followed by an end of line");
        }
    }

    private long Size(string line)
    {
        var digits = habits.SkipsExtensions ? string.Concat(line.TakeWhile(char.IsAsciiHexDigit)) : line.Split(';')[0].Trim();
        return long.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var size) ? size : throw new WireException($"no chunk size: {line}");
    }

    private static string Take(string text, ref int at, int count)
    {
        var taken = text.Substring(at, count);
        at += count;
        return taken;
    }
}
