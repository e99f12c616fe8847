using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Cheops.Tests.System.Harness;

/// <summary>
/// A process that a test started, leader of a group of its own. When it is disposed of, the group is killed: nothing
/// outlives a test, and nothing that a test did not start is ever touched.
/// </summary>
internal sealed partial class Daemon : IAsyncDisposable
{
    public const int SigHup = 1;
    public const int SigTerm = 15;
    public const int SigKill = 9;
    public const int SigStop = 19;
    public const int SigCont = 18;
    private const int LogLengthMax = 4 * 1024 * 1024;

    private readonly Process _process;
    private readonly StringBuilder _log = new();
    private readonly Lock _gate = new();

    private Daemon(Process process) => _process = process;

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>What it wrote so far, both streams.</summary>
    public string Log
    {
        get
        {
            lock (_gate) return _log.ToString();
        }
    }

    /// <summary>Starts a program. Variables CHEOPS_* of the test's own environment are not handed on.</summary>
    public static Daemon Start(IEnumerable<string> line, IReadOnlyDictionary<string, string> environment, string? networkNamespace = null)
    {
        var start = new ProcessStartInfo("setsid") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        if (networkNamespace is not null)
        {
            foreach (var word in (string[])["ip", "netns", "exec", networkNamespace]) start.ArgumentList.Add(word);
        }

        // Tests that run under nohup would hand on that SIGHUP is ignored.
        foreach (var word in (string[])["env", "--default-signal=HUP", .. line]) start.ArgumentList.Add(word);
        Commands.SetEnvironment(start, environment);
        var process = new Process { StartInfo = start };
        var daemon = new Daemon(process);
        process.OutputDataReceived += (_, e) => daemon.Keep(e.Data);
        process.ErrorDataReceived += (_, e) => daemon.Keep(e.Data);
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return daemon;
    }

    /// <summary>Sends a signal to the process alone.</summary>
    public void Signal(int signal)
    {
        if (!_process.HasExited) _ = Kill(Pid, signal);
    }

    /// <summary>Sends a signal to any process by its id; only for children of what the test started.</summary>
    public static void Signal(int pid, int signal) => _ = Kill(pid, signal);

    public async Task<int> WaitAsync(TimeSpan? most = null)
    {
        using var limit = new CancellationTokenSource(most ?? Wait.Long);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"process {Pid} did not end. Its log:\n{Log}");
        }

        return _process.ExitCode;
    }

    /// <summary>The processes whose parent is this one.</summary>
    public int[] Children() => [.. Directory.EnumerateDirectories("/proc")
        .Select(directory => int.TryParse(Path.GetFileName(directory), out var pid) ? pid : 0)
        .Where(pid => pid > 0 && ParentOf(pid) == Pid)];

    /// <summary>Resident memory in bytes.</summary>
    public long Memory() => long.Parse(
        File.ReadLines($"/proc/{Pid}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        global::System.Globalization.CultureInfo.InvariantCulture) * 1024;

    public async ValueTask DisposeAsync()
    {
        _ = Kill(-Pid, SigKill);
        if (!_process.HasExited) await WaitAsync();
        _process.Dispose();
    }

    private static int ParentOf(int pid)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], global::System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private void Keep(string? line)
    {
        if (line is null) return;
        lock (_gate)
        {
            if (_log.Length < LogLengthMax) _log.AppendLine(line);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
