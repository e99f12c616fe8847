using System.Collections.Immutable;
using System.Text;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops completion</c>: scripts for shells, made from the table of commands.</summary>
internal static class CompletionCommand
{
    public static readonly Command Command = new()
    {
        Name = "completion",
        Summary = "print the completion script for a shell",
        Positionals = [new("SHELL", "the shell") { Choices = ["bash", "zsh", "fish"] }],
        Examples =
        [
            "source <(cheops completion bash)",
            "cheops completion zsh > \"${fpath[1]}/_cheops\"",
            "cheops completion fish > ~/.config/fish/completions/cheops.fish",
        ],
        Run = Run,
    };

    private static Task<int> Run(Invocation invocation)
    {
        var all = CommandTable.All;
        invocation.Out.Write(invocation.Positionals[0] switch
        {
            "bash" => Bash(all),
            "zsh" => "#compdef cheops\nautoload -U +X bashcompinit && bashcompinit\n" + Bash(all),
            _ => Fish(all),
        });
        return Task.FromResult(ExitCode.Ok);
    }

    private static IEnumerable<string> FirstWords(ImmutableArray<Command> commands) => commands.Select(one => one.Name.Split(' ')[0]).Append("help").Distinct();

    private static IEnumerable<IGrouping<string, string>> Groups(ImmutableArray<Command> commands) =>
        commands.Where(one => one.Name.Contains(' ', StringComparison.Ordinal)).GroupBy(one => one.Name.Split(' ')[0], one => one.Name.Split(' ')[1]);

    private static string Bash(ImmutableArray<Command> commands)
    {
        var text = new StringBuilder();
        text.Append("""
            _cheops() {
              local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}" words=""
              COMPREPLY=()
              if [ "$COMP_CWORD" -eq 1 ]; then

            """);
        text.Append("    words=\"").AppendJoin(' ', FirstWords(commands)).Append("\"\n  else\n    case \"$command\" in\n");
        foreach (var group in Groups(commands))
        {
            text.Append("      ").Append(group.Key).Append(") if [ \"$COMP_CWORD\" -eq 2 ]; then words=\"").AppendJoin(' ', group)
                .Append("\"; else command=\"$command ${COMP_WORDS[2]}\"; fi ;;\n");
        }

        text.Append("    esac\n  fi\n  case \"$previous\" in\n");
        foreach (var option in commands.SelectMany(one => one.Options).DistinctBy(one => one.Name).Where(one => !one.IsFlag))
        {
            var names = option.Short.Length > 0 ? $"{option.Short}|{option.Name}" : option.Name;
            text.Append("    ").Append(names).Append(") ").Append(
                option.IsFile ? "COMPREPLY=($(compgen -f -- \"$current\")); return"
                : option.Choices.IsEmpty ? "return"
                : $"words=\"{string.Join(' ', option.Choices)}\"; command=\"\"").Append(" ;;\n");
        }

        text.Append("  esac\n  if [ -z \"$words\" ]; then\n    case \"$command\" in\n");
        foreach (var command in commands)
        {
            var words = command.Positionals.SelectMany(one => one.Choices).Concat(command.Options.Select(one => one.Name)).Append("--help");
            text.Append("      \"").Append(command.Name).Append("\") words=\"").AppendJoin(' ', words).Append("\" ;;\n");
        }

        return text.Append("""
                esac
              fi
              COMPREPLY=($(compgen -W "$words" -- "$current"))
            }
            complete -o default -F _cheops cheops

            """).ToString();
    }

    private static string Fish(ImmutableArray<Command> commands)
    {
        var text = new StringBuilder("complete -c cheops -f\n");
        foreach (var word in FirstWords(commands))
            text.Append("complete -c cheops -n __fish_use_subcommand -a ").Append(word).Append(Described(commands.FirstOrDefault(one => one.Name == word)?.Summary)).Append('\n');
        foreach (var group in Groups(commands))
        {
            text.Append("complete -c cheops -n '__fish_seen_subcommand_from ").Append(group.Key)
                .Append("; and not __fish_seen_subcommand_from ").AppendJoin(' ', group).Append("' -a '").AppendJoin(' ', group).Append("'\n");
        }

        foreach (var command in commands)
        {
            var seen = string.Join("; and ", command.Name.Split(' ').Select(word => $"__fish_seen_subcommand_from {word}"));
            foreach (var choice in command.Positionals.SelectMany(one => one.Choices))
                text.Append("complete -c cheops -n '").Append(seen).Append("' -a ").Append(choice).Append('\n');
            foreach (var option in command.Options)
            {
                text.Append("complete -c cheops -n '").Append(seen).Append("' -l ").Append(option.Name[2..]);
                if (option.Short.Length > 0) text.Append(" -s ").Append(option.Short[1..]);
                if (!option.IsFlag) text.Append(option.IsFile ? " -r -F" : option.Choices.IsEmpty ? " -x" : $" -x -a '{string.Join(' ', option.Choices)}'");
                text.Append(Described(option.Help)).Append('\n');
            }
        }

        return text.ToString();
    }

    private static string Described(string? help) => help is null ? "" : $" -d '{help.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal)}'";
}
