namespace Cheops.Agent.Cli;

/// <summary>The command line: from arguments to exit code.</summary>
internal static class CommandLine
{
    /// <summary>Runs what the arguments say.</summary>
    public static async Task<int> RunAsync(string[] arguments, CliContext context)
    {
        var parsed = new ArgumentParser(CommandTable.All, context).Parse(arguments);
        if (parsed.Mistake is not null)
        {
            await context.Error.WriteLineAsync($"cheops: {parsed.Mistake}");
            await context.Error.WriteLineAsync("cheops --help lists the commands; cheops COMMAND --help tells their options.");
            return ExitCode.Mistake;
        }

        if (parsed.Invocation is { } invocation) return await RunAsync(invocation);
        if (HelpText.For(CommandTable.All, parsed.HelpFor ?? "") is not { } help)
        {
            await context.Error.WriteLineAsync($"cheops: there is no command '{parsed.HelpFor}'; cheops --help lists them");
            return ExitCode.Mistake;
        }

        await context.Out.WriteAsync(help);
        return ExitCode.Ok;
    }

    private static async Task<int> RunAsync(Invocation invocation)
    {
        try
        {
            return await invocation.Command.Run(invocation);
        }
        catch (ApiUnreachableException e)
        {
            return invocation.Fail(ExitCode.Unreachable, e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return invocation.Fail(ExitCode.Failed, e.Message);
        }
    }
}
