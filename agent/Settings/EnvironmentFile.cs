using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Cheops.Proto;

namespace Cheops.Agent.Settings;

/// <summary>
/// Reads a file of variables as systemd's <c>EnvironmentFile=</c> does: <c>NAME=value</c> lines, empty lines, comments
/// with <c>#</c> or <c>;</c>, values bare or in single or double quotes. <c>export</c> before a name is passed over, so
/// that a shell can read the same file.
/// </summary>
public static class EnvironmentFile
{
    /// <summary>Reads the text of a file. Exactly one of the two results says something.</summary>
    /// <param name="file">The file's name, for messages.</param>
    /// <param name="text">Its text.</param>
    /// <param name="variables">The variables; the last of a name counts. Null when there is any mistake.</param>
    /// <param name="mistakes">Every line that is none of these, with its number.</param>
    public static bool TryParse(
        string file,
        string text,
        [NotNullWhen(true)] out IReadOnlyDictionary<string, string>? variables,
        out ImmutableArray<SettingMistake> mistakes)
    {
        var found = new Dictionary<string, string>();
        var wrong = ImmutableArray.CreateBuilder<SettingMistake>();
        if (text.Length > Bounds.EnvironmentFileSizeMax)
            wrong.Add(new SettingMistake(file, $"larger than {Bounds.EnvironmentFileSizeMax} bytes"));
        else
            ReadLines(file, text, found, wrong);
        mistakes = wrong.ToImmutable();
        variables = mistakes.IsEmpty ? found : null;
        return variables is not null;
    }

    private static void ReadLines(string file, string text, Dictionary<string, string> found, ImmutableArray<SettingMistake>.Builder wrong)
    {
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] is '#' or ';') continue;
            if (line.StartsWith("export ", StringComparison.Ordinal)) line = line["export ".Length..].TrimStart();
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || !IsName(line.AsSpan(0, equals)))
                wrong.Add(new SettingMistake($"{file}:{number}", "expected NAME=value"));
            else if (Unquoted(line[(equals + 1)..].Trim()) is { } value)
                found[line[..equals]] = value;
            else
                wrong.Add(new SettingMistake($"{file}:{number}", $"the quotes of {line[..equals]} do not end, or something follows them"));
        }
    }

    private static bool IsName(ReadOnlySpan<char> name)
    {
        if (char.IsAsciiDigit(name[0])) return false;
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '_') return false;
        }

        return true;
    }

    private static string? Unquoted(string value)
    {
        if (value.Length == 0 || value[0] is not ('"' or '\'')) return value;
        var quote = value[0];
        var result = new StringBuilder(value.Length);
        for (var i = 1; i < value.Length; i++)
        {
            if (value[i] == quote) return i == value.Length - 1 ? result.ToString() : null;
            if (quote == '"' && value[i] == '\\' && i + 1 < value.Length) i++;
            result.Append(value[i]);
        }

        return null;
    }
}
