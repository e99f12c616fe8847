using System.Text;

namespace Cheops.Agent.Interception;

/// <summary>Looks at field lines that were kept as text, each with its CR LF.</summary>
internal static class FieldText
{
    /// <summary>The value of a field; empty when it is not there.</summary>
    public static string ValueOf(ReadOnlySpan<byte> lines, string name)
    {
        foreach (var line in Encoding.Latin1.GetString(lines).Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > name.Length && line[name.Length] == ':' && line.StartsWith(name, StringComparison.OrdinalIgnoreCase)) return line[(name.Length + 1)..].Trim();
        }

        return "";
    }

    /// <summary>The media type that a <c>Content-Type</c> says, in lower case without parameters.</summary>
    public static string MediaType(string contentType) => contentType.Split(';')[0].Trim().ToLowerInvariant();
}
