using Cheops.Agent.Hosting;
using Cheops.Agent.Mesh.Nats;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops mesh config</c>.</summary>
internal static class MeshCommands
{
    public static readonly Command Config = new()
    {
        Name = "mesh config",
        Summary = "print the configuration for a nats-server of your own",
        Details = """
            The agent starts and configures a nats-server by itself, unless CHEOPS_NATS_URL names one that you run. That
            server needs what this prints: an account for each other site and lane, and the leaf links to them. The
            address for the agent and the password come from CHEOPS_NATS_URL; CHEOPS_MESH_LISTEN is where the server
            takes other sites' links; CHEOPS_MESH_CERT, _KEY and _CA are read by the server, so it must be able to.
            When CHEOPS_PEERS changes, print it anew, and restart the server before the agent gets its SIGHUP.
            """,
        Options = [CommonOptions.EnvFile],
        Examples =
        [
            "cheops mesh config --env-file /etc/cheops/cheops.env > /etc/nats/cheops.conf && nats-server -t -c /etc/nats/cheops.conf",
            "CHEOPS_NATS_URL=nats://cheops:PASSWORD@127.0.0.1:4222 cheops mesh config --env-file /etc/cheops/cheops.env",
        ],
        Run = invocation => Task.FromResult(RunConfig(invocation)),
    };

    private static int RunConfig(Invocation invocation)
    {
        if (SettingsLoader.Load(invocation, out var mistakes) is not { } settings) return AgentCommands.FailAll(invocation, mistakes);
        if (!NatsMesh.TryConfigure(SiteMesh.OptionsOf(settings, directory: "", incarnation: ""), out var text)) return invocation.Fail(ExitCode.Mistake, text);
        invocation.Out.Write(text);
        return ExitCode.Ok;
    }
}
