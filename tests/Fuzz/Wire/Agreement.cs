namespace Cheops.Tests.Fuzz.Wire;

/// <summary>Whether readers with different habits understand the same of what was sent.</summary>
public static class Agreement
{
    private static readonly WireReader Strict = new(Habits.Strict);

    private static readonly (Habits Habits, WireReader Reader)[] Others = [.. Habits.Lenient.Select(habits => (habits, new WireReader(habits)))];

    /// <summary>Reads all messages in the strict way.</summary>
    /// <param name="text">What was sent on one connection, a character a byte.</param>
    /// <param name="methods">The methods that answers answer; null for requests.</param>
    /// <returns>The messages, and where the last one that is not whole begins.</returns>
    /// <exception cref="WireException">Something is no HTTP.</exception>
    public static (List<WireMessage> Whole, int End) Read(string text, IReadOnlyList<string>? methods = null) => Read(Strict, text, methods);

    /// <summary>Demands that every reader finds the same messages in the same places.</summary>
    /// <exception cref="WireException">One of them does not.</exception>
    public static void Demand(string text, IReadOnlyList<string>? methods = null)
    {
        var (expected, rest) = Read(text, methods);
        foreach (var (habits, reader) in Others)
        {
            var (found, end) = Read(reader, text, methods);
            var same = found.Count == expected.Count && end == rest && found.Zip(expected).All(pair => pair.First.Essence == pair.Second.Essence);
            if (same) continue;
            throw new WireException(
                $"a reader that {habits.Name} reads {found.Count} messages up to {end}, the strict one {expected.Count} up to {rest}, of\n{text}\n"
                + string.Join('\n', found.Select(one => one.Essence)));
        }
    }

    private static (List<WireMessage> Whole, int End) Read(WireReader reader, string text, IReadOnlyList<string>? methods)
    {
        var messages = new List<WireMessage>();
        var at = 0;
        var answered = 0;
        while (at < text.Length)
        {
            var method = methods is null ? null : answered < methods.Count ? methods[answered] : throw new WireException("an answer that nobody asked for");
            if (reader.Read(text, ref at, method, ended: true) is not { } message) break;
            messages.Add(message);
            if (message.Status is 0 or >= 200 or 101) answered++;
            if (message.Status == 101) break;
        }

        return (messages, at);
    }
}
