using System.Text.RegularExpressions;
using Cheops.Tests.Fuzz.Wire;

namespace Cheops.Tests.Unit.Conformance;

/// <summary>A line of a script that tells what must hold of a message that was received.</summary>
internal static partial class Expectation
{
    [GeneratedRegex(@"\A[A-Za-z0-9_-]+:(?: .*)?\z")]
    private static partial Regex FieldLine { get; }

    /// <summary>Whether the line gives a field's value.</summary>
    public static bool IsField(string line) => FieldLine.IsMatch(line);

    /// <summary>Checks any other line.</summary>
    public static void Check(WireMessage message, string line)
    {
        var (word, rest) = line.IndexOf(' ', StringComparison.Ordinal) is var space and > 0 ? (line[..space], Script.Unescape(line[(space + 1)..])) : (line, "");
        switch (word)
        {
            case "no" when rest == "body": Assert.Equal("", message.Body); break;
            case "no" when rest == "trailers": Assert.Empty(message.Trailers); break;
            case "no": Assert.True(message.Values(rest.ToLowerInvariant()) is [], $"{rest} is there: {string.Join(" | ", message.Values(rest.ToLowerInvariant()))}"); break;
            case "some": Assert.NotEmpty(message.Values(rest.ToLowerInvariant())); break;
            case "body": Assert.Equal(rest, message.Body); break;
            case "framing": Assert.Equal(rest, message.Framing); break;
            case "trailer": Assert.Contains(rest.ToLowerInvariant(), message.Trailers.Select(one => $"{one.Name}: {one.Value}".ToLowerInvariant())); break;
            case "refusal": Assert.Contains($"\"refusal\":\"{rest}\"", message.Body, StringComparison.Ordinal); break;
            case "says": Assert.Contains(rest, message.Body, StringComparison.Ordinal); break;
            default: throw new FormatException($"no expectation: {line}");
        }
    }
}
