using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;

namespace Cheops.Agent.Cli.Running;

/// <summary>Runs <c>kubectl</c> with the scope as a path prefix of its server's URL, which every version keeps.</summary>
internal static class KubectlRun
{
    // Which of the line's options decide the server; each takes a value.
    private static readonly string[] Choosing = ["--kubeconfig", "--context", "--cluster"];

    public static int Run(Invocation invocation, string scope)
    {
        var line = invocation.Rest;
        var arguments = TakeServer(line[1..], out var server);
        if (server is null)
        {
            var asked = AskServer(invocation, line[0], Chosen(arguments), out var error);
            if (asked is null) return error;
            server = asked;
        }

        var scoped = $"--server={server.TrimEnd('/')}/@{Uri.EscapeDataString(scope)}";
        return RunCommand.Become(invocation, [line[0], .. Insert(arguments, scoped)], invocation.Context.Environment);
    }

    /// <summary>Takes <c>--server</c> out of the arguments, up to <c>--</c>, where those of another command begin.</summary>
    internal static ImmutableArray<string> TakeServer(ImmutableArray<string> arguments, out string? server)
    {
        server = null;
        var left = ImmutableArray.CreateBuilder<string>();
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            if (argument == "--")
            {
                left.AddRange(arguments[i..]);
                break;
            }

            if (argument is "--server" or "-s" && i + 1 < arguments.Length) server = arguments[++i];
            else if (argument.StartsWith("--server=", StringComparison.Ordinal)) server = argument["--server=".Length..];
            else left.Add(argument);
        }

        return left.ToImmutable();
    }

    /// <summary>The arguments that choose a kubeconfig, context or cluster.</summary>
    internal static ImmutableArray<string> Chosen(ImmutableArray<string> arguments)
    {
        var chosen = ImmutableArray.CreateBuilder<string>();
        for (var i = 0; i < arguments.Length && arguments[i] != "--"; i++)
        {
            if (Choosing.Contains(arguments[i]) && i + 1 < arguments.Length) chosen.AddRange(arguments[i], arguments[++i]);
            else if (Choosing.Any(option => arguments[i].StartsWith(option + "=", StringComparison.Ordinal))) chosen.Add(arguments[i]);
        }

        return chosen.ToImmutable();
    }

    // Behind the first word: in front of it, plug-ins of kubectl are not found any more.
    internal static ImmutableArray<string> Insert(ImmutableArray<string> arguments, string option)
    {
        for (var i = 0; i < arguments.Length && arguments[i] != "--"; i++)
        {
            if (!arguments[i].StartsWith('-')) return arguments.Insert(i + 1, option);
        }

        return arguments.Insert(0, option);
    }

    private static string? AskServer(Invocation invocation, string kubectl, ImmutableArray<string> chosen, out int exitCode)
    {
        var start = new ProcessStartInfo(kubectl, ["config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}", .. chosen])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync();
            var server = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            exitCode = ExitCode.Failed;
            if (process.ExitCode == 0 && server.Length > 0) return server;
            exitCode = invocation.Fail(ExitCode.Failed, $"kubectl names no server to put the scope behind; choose a context, or say --server URL. {errors.Result.Trim()}");
            return null;
        }
        catch (Win32Exception e)
        {
            exitCode = RunCommand.NotStarted(invocation, kubectl, e.NativeErrorCode);
            return null;
        }
    }
}
