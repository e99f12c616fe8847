using System.Collections.Immutable;
using System.Text;

namespace Cheops.Agent.Cli;

/// <summary>Help, made from the table of commands.</summary>
internal static class HelpText
{
    private const string ExitCodes = "Exit codes: 0 done; 1 failed; 2 a mistake in arguments, settings or scope; 3 the agent was not reached.";

    /// <summary>Help for a command, a group or everything.</summary>
    /// <param name="commands">The table.</param>
    /// <param name="name">The command's or group's name; empty for everything.</param>
    /// <returns>Null when there is neither.</returns>
    public static string? For(ImmutableArray<Command> commands, string name)
    {
        if (commands.FirstOrDefault(one => one.Name == name) is { } command) return Of(command);
        var group = name.Length == 0 ? commands : [.. commands.Where(one => one.Name.StartsWith(name + " ", StringComparison.Ordinal))];
        return group.IsEmpty ? null : Overview(group, isAll: name.Length == 0);
    }

    private static string Overview(ImmutableArray<Command> commands, bool isAll)
    {
        var text = new StringBuilder();
        if (isAll) text.Append("cheops: one agent per site lets an unmodified REST application work across sites.\n\n");
        text.Append("Commands:\n");
        AppendColumns(text, commands.Select(one => (one.Name, one.Summary)));
        text.Append("\ncheops COMMAND --help tells more, with examples. ").Append(ExitCodes).Append('\n');
        return text.ToString();
    }

    private static string Of(Command command)
    {
        var text = new StringBuilder("Usage: cheops ").Append(command.Name);
        if (!command.Options.IsEmpty) text.Append(" [OPTIONS]");
        foreach (var positional in command.Positionals)
            text.Append(' ').Append(positional.IsOptional ? $"[{positional.Name}]" : positional.Name);
        if (command.Rest.Length > 0) text.Append(" -- ").Append(command.Rest);
        text.Append("\n\n").Append(command.Summary).Append('\n');
        if (command.Details.Length > 0) text.Append('\n').Append(command.Details.TrimEnd()).Append('\n');
        if (!command.Positionals.IsEmpty)
        {
            text.Append("\nArguments:\n");
            AppendColumns(text, command.Positionals.Select(one => (one.Name, one.Help)));
        }

        if (!command.Options.IsEmpty)
        {
            text.Append("\nOptions:\n");
            AppendColumns(text, command.Options.Select(one => ((one.Short.Length > 0 ? one.Short + ", " : "") + one.Name + (one.IsFlag ? "" : " " + one.Value), one.Help)));
        }

        text.Append("\nExamples:\n");
        foreach (var example in command.Examples) text.Append("  ").Append(example).Append('\n');
        return text.Append('\n').Append(ExitCodes).Append('\n').ToString();
    }

    private static void AppendColumns(StringBuilder text, IEnumerable<(string Left, string Right)> rows)
    {
        var all = rows.ToArray();
        var width = all.Max(row => row.Left.Length);
        foreach (var (left, right) in all) text.Append("  ").Append(left.PadRight(width)).Append("  ").Append(right).Append('\n');
    }
}
