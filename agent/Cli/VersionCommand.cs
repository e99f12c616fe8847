using System.Runtime.InteropServices;
using System.Text;
using Cheops.Agent.Api;
using Cheops.Agent.Hosting;

namespace Cheops.Agent.Cli;

/// <summary><c>cheops version</c>.</summary>
internal static class VersionCommand
{
    public static readonly Command Command = new()
    {
        Name = "version",
        Summary = "print which cheops this is",
        Options = [CommonOptions.Output],
        Examples = ["cheops version", "cheops version --output json"],
        Run = Run,
    };

    private static Task<int> Run(Invocation invocation)
    {
        if (invocation.WantsJson)
        {
            var answer = ApiAnswer.Json(0, json =>
            {
                json.WriteString("version", AgentVersion.Text);
                json.WriteString("commit", AgentVersion.Commit);
                json.WriteString("platform", RuntimeInformation.RuntimeIdentifier);
                json.WriteString("runtime", RuntimeInformation.FrameworkDescription);
            });
            invocation.Out.Write(Encoding.UTF8.GetString(answer.Body.Span));
        }
        else
        {
            invocation.Out.WriteLine($"cheops {AgentVersion.Text}");
        }

        return Task.FromResult(ExitCode.Ok);
    }
}
