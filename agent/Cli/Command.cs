using System.Collections.Immutable;

namespace Cheops.Agent.Cli;

/// <summary>An option of a command.</summary>
/// <param name="Name">Its long name, with the dashes.</param>
/// <param name="Value">What stands for its value in help; empty for a flag.</param>
/// <param name="Help">What it does.</param>
internal sealed record Option(string Name, string Value, string Help)
{
    /// <summary>A short name, with the dash; empty for none.</summary>
    public string Short { get; init; } = "";

    /// <summary>The values it takes; empty for any.</summary>
    public ImmutableArray<string> Choices { get; init; } = [];

    /// <summary>Whether its value is a file, for completion.</summary>
    public bool IsFile { get; init; }

    public bool IsFlag => Value.Length == 0;
}

/// <summary>An argument of a command that has no name.</summary>
/// <param name="Name">What stands for it in help.</param>
/// <param name="Help">What it is.</param>
internal sealed record Positional(string Name, string Help)
{
    /// <summary>The values it takes; empty for any.</summary>
    public ImmutableArray<string> Choices { get; init; } = [];

    /// <summary>Whether it is a file, for completion.</summary>
    public bool IsFile { get; init; }

    public bool IsOptional { get; init; }
}

/// <summary>One command: what is parsed, shown in help and completed all come from here.</summary>
internal sealed record Command
{
    /// <summary>One or two words.</summary>
    public required string Name { get; init; }

    /// <summary>What it does, in one line.</summary>
    public required string Summary { get; init; }

    /// <summary>More about it, in lines of at most 100 characters.</summary>
    public string Details { get; init; } = "";

    public ImmutableArray<Option> Options { get; init; } = [];

    public ImmutableArray<Positional> Positionals { get; init; } = [];

    /// <summary>What stands for everything after <c>--</c>; empty when nothing may.</summary>
    public string Rest { get; init; } = "";

    public required ImmutableArray<string> Examples { get; init; }

    public required Func<Invocation, Task<int>> Run { get; init; }
}

/// <summary>A command with what was given to it.</summary>
internal sealed record Invocation(Command Command, CliContext Context)
{
    public ImmutableDictionary<string, string> Options { get; init; } = ImmutableDictionary<string, string>.Empty;

    public ImmutableArray<string> Positionals { get; init; } = [];

    public ImmutableArray<string> Rest { get; init; } = [];

    public TextWriter Out => Context.Out;

    public TextWriter Error => Context.Error;

    public string? Value(Option option) => Options.GetValueOrDefault(option.Name);

    public bool Has(Option option) => Options.ContainsKey(option.Name);

    public bool WantsJson => Value(CommonOptions.Output) == "json";

    /// <summary>Says what went wrong, where, and what to do, and gives the exit code.</summary>
    public int Fail(int exitCode, string message)
    {
        Error.WriteLine($"cheops {Command.Name}: {message}");
        return exitCode;
    }
}

/// <summary>What commands take from outside, so that tests can hand it in.</summary>
internal sealed record CliContext
{
    public required TextWriter Out { get; init; }

    public required TextWriter Error { get; init; }

    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>Makes the agent of <c>cheops agent</c>; null in a process that only has the other commands.</summary>
    public Func<Hosting.AgentContext, Hosting.IAgent>? Compose { get; init; }

    public string SearchPath => Environment.GetValueOrDefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/// <summary>Options that several commands have.</summary>
internal static class CommonOptions
{
    public static readonly Option Api = new("--api", "HOST:PORT", "the agent to ask (default: CHEOPS_API_LISTEN, else 127.0.0.1:7070)");

    public static readonly Option Output = new("--output", "FORMAT", "table for people, json for programs (default: table)") { Short = "-o", Choices = ["table", "json"] };

    public static readonly Option EnvFile = new("--env-file", "FILE", "read CHEOPS_* variables from this file too; those of the environment come first") { IsFile = true };
}
