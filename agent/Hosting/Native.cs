using System.Runtime.InteropServices;

namespace Cheops.Agent.Hosting;

/// <summary>The calls of the C library that .NET has no name for.</summary>
internal static partial class Native
{
    public const int SignalHangUp = 1;
    public const int SignalInterrupt = 2;
    public const int SignalQuit = 3;
    public const int SignalPipe = 13;
    public const int SignalTerminate = 15;

    private const int AdviseDontNeed = 4; // MADV_DONTNEED

    private const int OpenDirectory = 0x10000; // O_RDONLY | O_DIRECTORY

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int process, int signal);

    [LibraryImport("libc", EntryPoint = "signal", SetLastError = true)]
    private static partial nint Signal(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "isatty")]
    public static partial int IsTerminal(int file);

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "execvpe", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int ExecuteWithPath(string file, string?[] arguments, string?[] environment);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int Advise(nint start, nint length, int advice);

    /// <summary>Drops the pages of a mapping; of a file that was not changed in memory they come back from it. 0 when done.</summary>
    public static int Forget(nint start, nint length) => Advise(start, length, AdviseDontNeed);

    /// <summary>Puts a directory's entries on stable storage.</summary>
    /// <exception cref="IOException">It could not be done.</exception>
    public static void SyncDirectory(string path)
    {
        var file = Open(path, OpenDirectory);
        if (file < 0) throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            if (Sync(file) != 0) throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        finally
        {
            _ = Close(file);
        }
    }

    /// <summary>Becomes another program. Returns only when that failed, with the error's number (<c>errno</c>).</summary>
    /// <param name="file">The program, looked for in <c>PATH</c>.</param>
    /// <param name="arguments">Its arguments, its own name first.</param>
    /// <param name="environment">Its environment.</param>
    public static int Execute(string file, IEnumerable<string> arguments, IEnumerable<KeyValuePair<string, string>> environment)
    {
        // The runtime ignores SIGPIPE, and what is ignored stays so in the new program.
        _ = Signal(SignalPipe, 0);
        _ = ExecuteWithPath(file, [.. arguments, null], [.. environment.Select(pair => $"{pair.Key}={pair.Value}"), null]);
        return Marshal.GetLastPInvokeError();
    }
}
