using System.Collections.Immutable;
using Cheops.Agent.Cli.Running;

namespace Cheops.Agent.Cli;

/// <summary>All commands.</summary>
internal static class CommandTable
{
    public static ImmutableArray<Command> All { get; } =
    [
        AgentCommands.Agent,
        AgentCommands.Check,
        AgentCommands.Health,
        SitesCommand.Command,
        MeshCommands.Config,
        ExplainCommand.Command,
        RunCommand.Command,
        RedirectCommands.Install,
        RedirectCommands.Remove,
        RedirectCommands.Show,
        ProfileCommands.Infer,
        ProfileCommands.Check,
        ProfileCommands.Show,
        CompletionCommand.Command,
        VersionCommand.Command,
    ];
}
