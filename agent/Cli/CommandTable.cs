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
        RemoveSiteCommand.Command,
        ReplicationCommands.Replicants,
        ReplicationCommands.Lead,
        ReplicationCommands.AddSite,
        ReplicationCommands.RemoveReplicaSite,
        ReplicationCommands.Operations,
        ReplicationCommands.Retry,
        ReplicationCommands.Skip,
        ReplicationCommands.Done,
        ReplicationCommands.Groups,
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
