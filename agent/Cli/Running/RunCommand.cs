using System.Collections.Immutable;
using Cheops.Proto.Scopes;

namespace Cheops.Agent.Cli.Running;

/// <summary><c>cheops run</c>: runs a client command whose requests carry a scope.</summary>
internal static class RunCommand
{
    private static readonly Option ScopeOption = new("--scope", "SCOPE", "the scope that the command's requests carry");

    public static readonly Command Command = new()
    {
        Name = "run",
        Summary = "run a client command whose requests carry a scope",
        Details = """
            How the scope gets into the requests depends on the command, told by its file name:
              openstack  gets a plug-in that adds the Scope header to all requests; the line may then have
                         --scope '…' anywhere too. Names (--image debian) are looked up at the scope's sites.
              kubectl    gets --server SERVER/@SCOPE, with the server of its kubeconfig and context.
              others     get http_proxy: a proxy on loopback, for as long as the command runs, that adds the Scope
                         header to http:// requests which have none. What does not look at http_proxy, and Go programs
                         that talk to loopback addresses, are not reached. Requests to https:// addresses pass
                         unchanged, since nobody can add a header inside them; that is said once.
            The command keeps its input, output, signals and exit code (126: it cannot be started; 127: not found).
            """,
        Options = [ScopeOption],
        Rest = "COMMAND [ARGUMENT…]",
        Examples =
        [
            "cheops run --scope '{glance: Site2}' -- openstack image list",
            "cheops run -- openstack server create --image debian --flavor m1 web --scope '{glance: Site2, nova: Site1}'",
            "cheops run --scope 'Site2' -- kubectl get pods --watch",
            "cheops run --scope 'shop: Site2 ; Site3' -- curl -s http://127.0.1.1:8080/v1/items",
        ],
        Run = RunAsync,
    };

    private static async Task<int> RunAsync(Invocation invocation)
    {
        if (invocation.Rest.IsEmpty) return invocation.Fail(ExitCode.Mistake, "say which command: cheops run --scope 'SCOPE' -- COMMAND");
        var program = Path.GetFileName(invocation.Rest[0]);
        var given = invocation.Value(ScopeOption);
        if (given is null && program != "openstack")
            return invocation.Fail(ExitCode.Mistake, "say --scope 'SCOPE' before the command (only openstack takes it on its own line)");
        if (given is null) return OpenStackRun.Run(invocation, null);
        if (!ScopeParser.TryParse(given, out var scope, out var error))
            return invocation.Fail(ExitCode.Mistake, $"{error.Message}\n{error.Caret(given)}");
        return program switch
        {
            "openstack" => OpenStackRun.Run(invocation, scope.ToString()),
            "kubectl" => KubectlRun.Run(invocation, scope.ToString()),
            _ => await ProxyRun.RunAsync(invocation, scope.ToString()),
        };
    }

    /// <summary>Becomes the command: its signals, output and exit code need nobody between.</summary>
    internal static int Become(Invocation invocation, ImmutableArray<string> line, IReadOnlyDictionary<string, string> environment)
    {
        // What is written until now must not come after, or never.
        invocation.Out.Flush();
        invocation.Error.Flush();
        return NotStarted(invocation, line[0], Hosting.Native.Execute(line[0], line, environment));
    }

    internal static int NotStarted(Invocation invocation, string program, int error)
    {
        const int noEntry = 2;
        return error == noEntry
            ? invocation.Fail(ExitCode.NotFound, $"there is no command '{program}'")
            : invocation.Fail(ExitCode.CannotExecute, $"'{program}' cannot be started: {System.Runtime.InteropServices.Marshal.GetPInvokeErrorMessage(error)}");
    }
}
