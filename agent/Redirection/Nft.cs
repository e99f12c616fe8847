using System.ComponentModel;
using System.Diagnostics;

namespace Cheops.Agent.Redirection;

/// <summary>The <c>nft</c> program.</summary>
internal static class Nft
{
    /// <summary>Carries out commands in one transaction: all or none.</summary>
    /// <exception cref="IOException">nft is not there or refused them.</exception>
    public static void Apply(string commands) => Run(["-f", "-"], commands);

    /// <summary>A table as it is in the kernel; null when there is none.</summary>
    /// <exception cref="IOException">nft is not there or may not ask.</exception>
    public static string? List(string table)
    {
        if (!Run(["list", "tables", "inet"], "").Split('\n').Any(line => line.Trim() == $"table inet {table}")) return null;
        return Run(["list", "table", "inet", table], "");
    }

    private static string Run(string[] arguments, string input)
    {
        var start = new ProcessStartInfo("nft", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(start)!;
            var errors = process.StandardError.ReadToEndAsync();
            process.StandardInput.Write(input);
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode == 0) return output;
            var hint = errors.Result.Contains("not permitted", StringComparison.OrdinalIgnoreCase) ? "; it must run as root" : "";
            throw new IOException($"nft refused: {errors.Result.Trim()}{hint}");
        }
        catch (Win32Exception e)
        {
            throw new IOException("nft cannot be started: install the package nftables", e);
        }
    }
}
