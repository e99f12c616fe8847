using System.Diagnostics;

namespace Cheops.Tests.Integration.Store;

/// <summary>Starts the process around a part of the store.</summary>
internal static class StoreProcess
{
    private static string HostPath => Path.Combine(AppContext.BaseDirectory, "Cheops.Tests.StoreHost.dll");

    /// <summary>Starts it.</summary>
    public static Process Start(string mode, string directory) => Start("dotnet", [HostPath, mode, directory]);

    /// <summary>Runs it to its end on a file system of its own, and returns its lines.</summary>
    public static async Task<string[]> RunOnSmallDiskAsync(string mode, string directory, string size)
    {
        var script = $"mount -t tmpfs -o size={size} none '{directory}' && exec dotnet '{HostPath}' {mode} '{directory}'";
        using var host = Start("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        var errors = host.StandardError.ReadToEndAsync();
        var lines = (await host.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        await host.WaitForExitAsync();
        Assert.True(host.ExitCode == 0, $"exit code {host.ExitCode}: {string.Join('|', lines)} {await errors}");
        return lines;
    }

    /// <summary>Runs it until it has acknowledged so many things, kills it in the middle of what it does, and returns its lines.</summary>
    public static async Task<List<string[]>> RunAndKillAsync(string mode, string directory, int acknowledgements)
    {
        using var host = Start(mode, directory);
        var lines = new List<string[]>();
        // A line may be cut off by the kill; the newline is written with it, so one that is here is whole.
        while (await host.StandardOutput.ReadLineAsync() is { } line)
        {
            lines.Add(line.Split(' '));
            if (lines.Count(l => l[0] == "ack") >= acknowledgements) host.Kill();
        }

        await host.WaitForExitAsync();
        Assert.Equal(128 + 9, host.ExitCode);
        return lines;
    }

    private static Process Start(string program, string[] arguments) => Process.Start(new ProcessStartInfo(program, arguments)
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;
}
