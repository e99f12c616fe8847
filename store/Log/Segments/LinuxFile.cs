using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Cheops.Store.Log.Segments;

/// <summary>The system calls that the platform's library does not offer as they are needed.</summary>
internal static partial class LinuxFile
{
    private const int Interrupted = 4, NoSpaceLeft = 28, NotSupported = 95, QuotaExceeded = 122; // EINTR, ENOSPC, EOPNOTSUPP, EDQUOT

    /// <summary>Makes the data of a file durable, and of its metadata what is needed to read it (fdatasync(2)).</summary>
    public static void SyncData(SafeFileHandle file)
    {
        while (FDataSync(file) != 0) Rethrow("fdatasync");
    }

    /// <summary>Gives a file all its blocks, which read as zeros (fallocate(2)); writes zeros where the file system cannot.</summary>
    public static void Allocate(SafeFileHandle file, long size)
    {
        while (FAllocate(file, 0, 0, size) != 0)
        {
            if (Marshal.GetLastPInvokeError() == NotSupported)
            {
                WriteZeros(file, size);
                return;
            }

            Rethrow("fallocate");
        }
    }

    /// <summary>Makes what a directory names durable.</summary>
    public static void SyncDirectory(string path)
    {
        // The platform's own open refuses directories.
        using var directory = Open(path, 0x80000, 0); // O_RDONLY | O_CLOEXEC
        if (directory.IsInvalid) Rethrow("open " + path);
        while (FSync(directory) != 0) Rethrow("fsync " + path);
    }

    /// <summary>Whether an error says that there is no room.</summary>
    public static bool IsFull(IOException e) => e.HResult is NoSpaceLeft or QuotaExceeded;

    private static void WriteZeros(SafeFileHandle file, long size)
    {
        var zeros = new byte[64 * 1024];
        for (var at = 0L; at < size; at += zeros.Length)
            RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, size - at)), at);
    }

    private static void Rethrow(string call)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error != Interrupted) throw new IOException($"{call}: {Marshal.GetPInvokeErrorMessage(error)}", error);
    }

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FDataSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FAllocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);
}
