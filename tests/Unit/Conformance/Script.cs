using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Cheops.Tests.Unit.Conformance;

/// <summary>Who does a step, and what.</summary>
internal enum Act
{
    /// <summary><c>&gt;</c> The client sends.</summary>
    ClientSends,
    /// <summary><c>&gt;&gt;</c> The service must have received.</summary>
    ServiceGot,
    /// <summary><c>&lt;&lt;</c> The service sends.</summary>
    ServiceSends,
    /// <summary><c>&lt;</c> The client must have received.</summary>
    ClientGot,
}

/// <summary>One step of a script.</summary>
/// <param name="Act">Who does what.</param>
/// <param name="Signal">What stands in parentheses: <c>end</c>, <c>reset</c> and so on; empty for a message.</param>
/// <param name="Lines">What is sent, one text with its ends of lines; or what must hold of what was received, line by line.</param>
internal sealed record Step(Act Act, string Signal, string[] Lines);

/// <summary>One requirement and the conversation that shows it; <c>Cases/README.md</c> says how it is written.</summary>
/// <param name="Name">The section that it is of, and what it says.</param>
/// <param name="Steps">The conversation.</param>
internal sealed partial record Script(string Name, Step[] Steps)
{
    [GeneratedRegex(@"\A(?<act>>>|<<|>|<)(?: (?<rest>.*))?\z", RegexOptions.ExplicitCapture | RegexOptions.Singleline)]
    private static partial Regex StepLine { get; }

    [GeneratedRegex(@"\A\((?<signal>[a-z0-9 ]+)\)(?: (?<rest>.*))?\z", RegexOptions.ExplicitCapture | RegexOptions.Singleline)]
    private static partial Regex SignalLine { get; }

    // What begins a message among the lines that tell what was received.
    [GeneratedRegex(@"\A(?:[A-Z-]+ [^ ]+ HTTP/1\.1|[1-9][0-9]{2}(?: .*)?)\z")]
    private static partial Regex FirstLine { get; }

    [GeneratedRegex(@"\\(?:x(?<hex>[0-9A-Fa-f]{2})|\{(?<count>[0-9]+):(?<what>[^}]*)\}|(?<one>[rnt0\\]))", RegexOptions.ExplicitCapture)]
    private static partial Regex Escape { get; }

    /// <summary>Reads the scripts in a text.</summary>
    /// <exception cref="FormatException">A line is none of a script.</exception>
    public static IEnumerable<Script> Read(string text)
    {
        string? name = null;
        var steps = new List<Step>();
        foreach (var line in text.Split('\n').Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                if (name is not null) yield return new Script(name, [.. steps]);
                (name, steps) = (line[3..], []);
                continue;
            }

            var match = StepLine.Match(line);
            if (!match.Success || name is null) throw new FormatException($"not understood: {line}");
            Add(steps, ActOf(match.Groups["act"].Value), match.Groups["rest"].Value);
        }

        if (name is not null) yield return new Script(name, [.. steps]);
    }

    private static Act ActOf(string mark) => mark switch { ">" => Act.ClientSends, ">>" => Act.ServiceGot, "<<" => Act.ServiceSends, _ => Act.ClientGot };

    private static void Add(List<Step> steps, Act act, string rest)
    {
        var last = steps.Count > 0 && steps[^1].Act == act ? steps[^1] : null;
        if (SignalLine.Match(rest) is { Success: true } signal)
        {
            var lines = signal.Groups["rest"].Value is { Length: > 0 } more ? new[] { more } : [];
            steps.Add(new Step(act, signal.Groups["signal"].Value, lines));
        }
        else if (act is Act.ClientSends or Act.ServiceSends)
        {
            var sent = Unescape(rest.EndsWith('\\') && !rest.EndsWith(@"\\", StringComparison.Ordinal) ? rest[..^1] : rest + @"\r\n");
            if (last is { Signal: "" }) steps[^1] = last with { Lines = [last.Lines[0] + sent] };
            else steps.Add(new Step(act, "", [sent]));
        }
        else if (last is null || FirstLine.IsMatch(rest) || (last.Signal is not ("" or "head")))
        {
            steps.Add(new Step(act, "", [rest]));
        }
        else
        {
            steps[^1] = last with { Lines = [.. last.Lines, rest] };
        }
    }

    /// <summary>Text in which <c>\r \n \t \0 \\ \xHH</c> and <c>\{COUNT:TEXT}</c> stand for what they say.</summary>
    public static string Unescape(string text) => Escape.Replace(text, match =>
    {
        if (match.Groups["hex"].Success) return ((char)int.Parse(match.Groups["hex"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString();
        if (match.Groups["count"].Success) return new StringBuilder().Insert(0, Unescape(match.Groups["what"].Value), int.Parse(match.Groups["count"].Value, CultureInfo.InvariantCulture)).ToString();
        return match.Groups["one"].Value switch { "r" => "\r", "n" => "\n", "t" => "\t", "0" => "\0", _ => "\\" };
    });
}
