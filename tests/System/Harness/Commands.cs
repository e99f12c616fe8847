using System.Diagnostics;

namespace Cheops.Tests.System.Harness;

/// <summary>What a command that ran to its end did.</summary>
internal sealed record Ran(int ExitCode, string Output, string Error)
{
    public string All => $"exit {ExitCode}\n{Output}\n{Error}";

    /// <summary>Fails the test unless the command succeeded.</summary>
    public Ran Succeeded()
    {
        Assert.True(ExitCode == 0, All);
        return this;
    }
}

/// <summary>Runs commands to their end.</summary>
internal static class Commands
{
    public static async Task<Ran> RunAsync(IEnumerable<string> line, IReadOnlyDictionary<string, string>? environment = null, TimeSpan? most = null, string? input = null)
    {
        string[] words = [.. line];
        var start = new ProcessStartInfo(words[0], words[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        SetEnvironment(start, environment ?? new Dictionary<string, string>());
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (input is not null) await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(most ?? Wait.Long);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"not within {(most ?? Wait.Long).TotalSeconds} s: {string.Join(' ', words)}\n{await output}\n{await error}");
        }

        return new Ran(process.ExitCode, await output, await error);
    }

    public static Task<Ran> ShellAsync(string script, IReadOnlyDictionary<string, string>? environment = null, TimeSpan? most = null) =>
        RunAsync(["bash", "-euo", "pipefail", "-c", script], environment, most);

    internal static void SetEnvironment(ProcessStartInfo start, IReadOnlyDictionary<string, string> environment)
    {
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("CHEOPS_", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        start.Environment.Remove("http_proxy");
        start.Environment.Remove("https_proxy");
        foreach (var (name, value) in environment) start.Environment[name] = value;
    }
}
