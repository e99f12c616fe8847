using System.Globalization;

namespace Cheops.Agent.Hosting;

/// <summary>
/// Gives back the pages of program files, code and constants, that only the start needed: of an idle agent's memory about a
/// quarter. What is needed again is mapped again from the file, which the system's page cache still has.
/// </summary>
internal static class StartPages
{
    /// <summary>When after the start the agent is taken to be through with what only the start needs.</summary>
    public static readonly TimeSpan After = TimeSpan.FromSeconds(3);

    /// <summary>Lets go of what is mapped now. Where the system does not tell of mappings nothing is done.</summary>
    public static void GiveBack()
    {
        try
        {
            foreach (var (start, length) in Unchanged(File.ReadLines("/proc/self/smaps"))) _ = Native.Forget(start, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Memory that could have been given back stays in use.
        }
    }

    /// <summary>The mappings of files that are only read and of which no page was changed: what is dropped comes back as it was.</summary>
    /// <param name="smaps">The lines of <c>/proc/PID/smaps</c> (proc(5)).</param>
    public static IEnumerable<(nint Start, nint Length)> Unchanged(IEnumerable<string> smaps)
    {
        (nint Start, nint Length)? mapping = null;
        foreach (var line in smaps)
        {
            var parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts is [var range, var rights, _, _, _, ..] && range.IndexOf('-', StringComparison.Ordinal) is > 0 and var dash)
            {
                var start = nint.Parse(range.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                var end = nint.Parse(range.AsSpan(dash + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                mapping = rights is "r-xp" or "r--p" && parts is [_, _, _, _, _, ['/', ..], ..] ? (start, end - start) : null;
            }
            else if (parts is ["Anonymous:", var changed, "kB"] && mapping is { } found)
            {
                if (changed == "0") yield return found;
                mapping = null;
            }
        }
    }
}
