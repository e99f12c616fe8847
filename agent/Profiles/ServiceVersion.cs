using System.Globalization;
using System.Text.Json;

namespace Cheops.Agent.Profiles;

/// <summary>Where a service tells the version of its API.</summary>
/// <param name="Path">The path to ask with GET.</param>
/// <param name="Field">The field of the answer; with <c>[]</c>, the highest of several counts.</param>
public sealed record VersionSource(string Path, FieldPath Field);

/// <summary>Versions as sites compare them.</summary>
public static class ServiceVersion
{
    /// <summary>The version in an answer, <c>major.minor</c> or <c>major</c>; empty when there is none.</summary>
    /// <param name="json">The answer's body.</param>
    /// <param name="field">Where it is.</param>
    public static string Find(ReadOnlyMemory<byte> json, FieldPath field)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var highest = (Major: -1, Minor: -1);
            Collect(document.RootElement, field.Segments.AsSpan(), ref highest);
            return Print(highest);
        }
        catch (JsonException)
        {
            // A page for people, or the start page of a proxy: no version.
            return "";
        }
    }

    /// <summary>Major and minor of a version as software writes it: <c>1.27</c> of <c>v1.27.3+k3s1</c>; empty when it is none.</summary>
    public static string MajorMinor(string text) => Print(Parse(text));

    private static void Collect(JsonElement element, ReadOnlySpan<string> path, ref (int Major, int Minor) highest)
    {
        if (path.IsEmpty)
        {
            var text = element.ValueKind switch { JsonValueKind.String => element.GetRawText()[1..^1], JsonValueKind.Number => element.GetRawText(), _ => "" };
            var version = Parse(text);
            if (version.CompareTo(highest) > 0) highest = version;
        }
        else if (path[0] == FieldPath.Each && element.ValueKind == JsonValueKind.Array)
        {
            foreach (var one in element.EnumerateArray()) Collect(one, path[1..], ref highest);
        }
        else if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty(path[0], out var member))
        {
            Collect(member, path[1..], ref highest);
        }
    }

    private static (int Major, int Minor) Parse(string text)
    {
        var rest = text.AsSpan();
        if (rest.StartsWith("v", StringComparison.OrdinalIgnoreCase)) rest = rest[1..];
        if (!TryNumber(ref rest, out var major)) return (-1, -1);
        if (rest.IsEmpty || rest[0] != '.') return (major, -1);
        rest = rest[1..];
        return (major, TryNumber(ref rest, out var minor) ? minor : -1);
    }

    private static bool TryNumber(ref ReadOnlySpan<char> text, out int number)
    {
        var end = text.IndexOfAnyExceptInRange('0', '9') is >= 0 and var other ? other : text.Length;
        var digits = text[..end];
        text = text[end..];
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private static string Print((int Major, int Minor) version) => version switch
    {
        { Major: < 0 } => "",
        { Minor: < 0 } => version.Major.ToString(CultureInfo.InvariantCulture),
        _ => string.Create(CultureInfo.InvariantCulture, $"{version.Major}.{version.Minor}"),
    };
}
