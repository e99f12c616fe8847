using System.Text;

namespace Cheops.Agent.Cli;

/// <summary>Rows under headings, in columns as wide as they need to be.</summary>
internal static class TextTable
{
    public static string Format(string[] headings, IReadOnlyList<string[]> rows)
    {
        var widths = headings.Select((heading, i) => rows.Select(row => row[i].Length).Append(heading.Length).Max()).ToArray();
        var text = new StringBuilder();
        Append(text, headings, widths);
        foreach (var row in rows) Append(text, row, widths);
        return text.ToString();
    }

    private static void Append(StringBuilder text, string[] row, int[] widths)
    {
        var start = text.Length;
        for (var i = 0; i < row.Length; i++) text.Append(row[i].PadRight(widths[i] + 2));
        while (text.Length > start && text[^1] == ' ') text.Length--;
        text.Append('\n');
    }
}
