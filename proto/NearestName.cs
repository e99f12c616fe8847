namespace Cheops.Proto;

/// <summary>Finds what a misspelt name was meant to be, for messages that say so.</summary>
public static class NearestName
{
    private const int LengthMax = 128;

    /// <summary>The candidate with the smallest edit distance that is near enough to be meant, or null.</summary>
    /// <param name="name">What was written.</param>
    /// <param name="candidates">What exists. Of two as near, the one that comes first in ordinal order is taken.</param>
    public static string? Find(string name, IEnumerable<string> candidates)
    {
        string? nearest = null;
        var best = Math.Max(1, name.Length / 3) + 1;
        foreach (var candidate in candidates)
        {
            var distance = Distance(name, candidate, best);
            if (distance < best || (distance == best && nearest is not null && string.CompareOrdinal(candidate, nearest) < 0))
                (nearest, best) = (candidate, distance);
        }

        return nearest;
    }

    /// <summary>A clause for the end of a message: <c>; did you mean 'x'?</c>, or nothing.</summary>
    public static string Hint(string name, IEnumerable<string> candidates) =>
        Find(name, candidates) is { } nearest ? $"; did you mean '{nearest}'?" : "";

    // Optimal string alignment, ignoring case: insertions, deletions, substitutions and swapped neighbours.
    private static int Distance(string a, string b, int bound)
    {
        if (a.Length > LengthMax || b.Length > LengthMax || Math.Abs(a.Length - b.Length) > bound)
            return int.MaxValue;
        Span<int> before = stackalloc int[LengthMax + 1];
        Span<int> previous = stackalloc int[LengthMax + 1];
        Span<int> current = stackalloc int[LengthMax + 1];
        for (var j = 0; j <= b.Length; j++)
            previous[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            current[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = Same(a[i - 1], b[j - 1]) ? 0 : 1;
                current[j] = Math.Min(Math.Min(current[j - 1], previous[j]) + 1, previous[j - 1] + cost);
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]))
                    current[j] = Math.Min(current[j], before[j - 2] + 1);
            }

            var spare = before;
            before = previous;
            previous = current;
            current = spare;
        }

        return previous[b.Length];
    }

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
}
