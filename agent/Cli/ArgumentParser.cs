using System.Collections.Immutable;
using Cheops.Proto;

namespace Cheops.Agent.Cli;

/// <summary>What the arguments of the process mean. Exactly one of the four is set.</summary>
/// <param name="Invocation">A command to run.</param>
/// <param name="HelpFor">A command whose help is asked for; with an empty name, that of a group or of everything.</param>
/// <param name="Mistake">What is wrong.</param>
internal sealed record ParsedArguments(Invocation? Invocation = null, string? HelpFor = null, string? Mistake = null);

/// <summary>Reads the arguments by the table of commands.</summary>
internal sealed class ArgumentParser(ImmutableArray<Command> commands, CliContext context)
{
    private static bool IsHelp(string argument) => argument is "--help" or "-h" or "-?";

    public ParsedArguments Parse(ReadOnlySpan<string> arguments)
    {
        if (arguments.IsEmpty || IsHelp(arguments[0])) return new(HelpFor: "");
        if (arguments[0] == "help") return new(HelpFor: string.Join(' ', arguments[1..].ToArray()));
        if (arguments[0] == "--version") return ParseCommand(commands.First(one => one.Name == "version"), []);

        var two = arguments.Length > 1 ? $"{arguments[0]} {arguments[1]}" : "";
        var first = arguments[0];
        if (commands.FirstOrDefault(one => one.Name == two) is { } longer) return ParseCommand(longer, arguments[2..]);
        if (commands.FirstOrDefault(one => one.Name == first) is { } command) return ParseCommand(command, arguments[1..]);
        if (commands.Any(one => one.Name.StartsWith(first + " ", StringComparison.Ordinal)))
        {
            if (arguments.Length == 1 || IsHelp(arguments[1])) return new(HelpFor: first);
            var inGroup = commands.Where(one => one.Name.StartsWith(first + " ", StringComparison.Ordinal)).Select(one => one.Name);
            return new(Mistake: $"cheops {first} has no '{arguments[1]}'{NearestName.Hint(two, inGroup)}");
        }

        return new(Mistake: $"there is no command '{first}'{NearestName.Hint(first, commands.Select(one => one.Name))}");
    }

    private ParsedArguments ParseCommand(Command command, ReadOnlySpan<string> arguments)
    {
        var options = ImmutableDictionary.CreateBuilder<string, string>();
        var positionals = ImmutableArray.CreateBuilder<string>();
        ImmutableArray<string> rest = [];
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            if (IsHelp(argument)) return new(HelpFor: command.Name);
            if (argument == "--" && command.Rest.Length > 0)
            {
                rest = [.. arguments[(i + 1)..]];
                break;
            }

            if (argument.Length < 2 || argument[0] != '-')
            {
                // The command that is to be run ends our own options, as it does for env, nice or sudo.
                if (command.Rest.Length > 0 && positionals.Count == command.Positionals.Length)
                {
                    rest = [.. arguments[i..]];
                    break;
                }

                positionals.Add(argument);
                continue;
            }

            var wrong = TakeOption(command, options, arguments, ref i);
            if (wrong is not null) return new(Mistake: $"cheops {command.Name}: {wrong}");
        }

        return CheckPositionals(command, positionals) is { } mistake
            ? new(Mistake: $"cheops {command.Name}: {mistake}")
            : new(new Invocation(command, context) { Options = options.ToImmutable(), Positionals = positionals.ToImmutable(), Rest = rest });
    }

    private static string? TakeOption(Command command, ImmutableDictionary<string, string>.Builder options, ReadOnlySpan<string> arguments, ref int i)
    {
        var argument = arguments[i];
        var equals = argument.StartsWith("--", StringComparison.Ordinal) ? argument.IndexOf('=', StringComparison.Ordinal) : -1;
        var name = equals < 0 ? argument : argument[..equals];
        if (command.Options.FirstOrDefault(one => one.Name == name || (one.Short == name && name.Length > 0)) is not { } option)
            return $"there is no option '{name}'{NearestName.Hint(name, command.Options.Select(one => one.Name))}";
        if (options.ContainsKey(option.Name)) return $"{option.Name} is given twice";
        if (option.IsFlag)
        {
            options[option.Name] = "";
            return equals < 0 ? null : $"{option.Name} takes no value";
        }

        if (equals < 0 && i + 1 == arguments.Length) return $"{option.Name} needs a value: {option.Name} {option.Value}";
        var value = equals < 0 ? arguments[++i] : argument[(equals + 1)..];
        options[option.Name] = value;
        return option.Choices.IsEmpty || option.Choices.Contains(value)
            ? null
            : $"{option.Name} takes {string.Join(" or ", option.Choices)}, not '{value}'";
    }

    private static string? CheckPositionals(Command command, ImmutableArray<string>.Builder given)
    {
        if (given.Count > command.Positionals.Length) return $"'{given[command.Positionals.Length]}' is more than it takes";
        for (var i = 0; i < command.Positionals.Length; i++)
        {
            var expected = command.Positionals[i];
            if (i >= given.Count) return expected.IsOptional ? null : $"{expected.Name} is missing: {expected.Help}";
            if (!expected.Choices.IsEmpty && !expected.Choices.Contains(given[i]))
                return $"{expected.Name} is {string.Join(" or ", expected.Choices)}, not '{given[i]}'{NearestName.Hint(given[i], expected.Choices)}";
        }

        return null;
    }
}
