using System.Security.Cryptography;

namespace Cheops.Agent.Hosting;

/// <summary>
/// The directory of an agent's durable state: made for its user alone, locked so that no two agents share it, and
/// marked with an incarnation, the random id that tells these data from others of the same site.
/// </summary>
public sealed class DataDirectory : IDisposable
{
    private const int IncarnationLength = 32;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode FileOwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly FileStream _lock;

    private DataDirectory(string path, FileStream @lock, string incarnation, bool isNew) =>
        (Path, _lock, Incarnation, IsNew) = (path, @lock, incarnation, isNew);

    /// <summary>Its absolute path.</summary>
    public string Path { get; }

    /// <summary>The id of these data: 32 lower-case hexadecimal digits, made with them.</summary>
    public string Incarnation { get; private set; }

    /// <summary>Whether the incarnation was made just now.</summary>
    public bool IsNew { get; private set; }

    /// <summary>Something that others were told of is lost: from here on these are other data.</summary>
    /// <exception cref="IOException">The new incarnation is not durable: the old one must not be used either.</exception>
    public void Renew()
    {
        (Incarnation, IsNew) = (NewIncarnation(), true);
        WriteDurably(Path, FileOf(Path), Incarnation + "\n");
    }

    /// <summary>Opens the directory; makes it when it is not there.</summary>
    /// <exception cref="IOException">It cannot be made, written or locked, or its incarnation is damaged; the message says what to do.</exception>
    public static DataDirectory Open(string path)
    {
        try
        {
            Directory.CreateDirectory(path, OwnerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the data directory {path} cannot be made: {e.Message}; make it, owned by the agent's user, or set CHEOPS_DATA", e);
        }

        var @lock = Lock(path);
        try
        {
            var incarnation = ReadIncarnation(path, out var isNew);
            return new DataDirectory(path, @lock, incarnation, isNew);
        }
        catch
        {
            @lock.Dispose();
            throw;
        }
    }

    /// <summary>The path of a file or directory in it.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The text of a small file in it; empty when there is none.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public string Read(string name)
    {
        try
        {
            return File.Exists(PathOf(name)) ? File.ReadAllText(PathOf(name)) : "";
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Keeps the text of a small file in it: after a crash it has this text, or the one before.</summary>
    /// <exception cref="IOException">It is not durable.</exception>
    public void Keep(string name, string text)
    {
        try
        {
            WriteDurably(Path, PathOf(name), text);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    private static FileStream Lock(string path)
    {
        var file = System.IO.Path.Combine(path, "lock");
        try
        {
            // Locked by flock(2) for as long as it is open: a crash frees it.
            return new FileStream(file, new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.None,
                UnixCreateMode = FileOwnerOnly,
            });
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"the data directory {path} may not be written by this user; give it to the agent's user, or set CHEOPS_DATA", e);
        }
        catch (IOException e) when (File.Exists(file))
        {
            throw new IOException($"the data directory {path} is in use by another agent; stop that one, or give this one its own in CHEOPS_DATA", e);
        }
    }

    private static string ReadIncarnation(string path, out bool isNew)
    {
        var file = FileOf(path);
        isNew = !File.Exists(file);
        if (isNew)
        {
            var made = NewIncarnation();
            WriteDurably(path, file, made + "\n");
            return made;
        }

        var text = File.ReadAllText(file).TrimEnd('\n');
        if (text.Length == IncarnationLength && text.All(char.IsAsciiHexDigitLower)) return text;
        throw new IOException(
            $"{file} is damaged; restore it from a backup, or remove the whole of {path}: the site then comes back as one whose data were lost");
    }

    private static string FileOf(string path) => System.IO.Path.Combine(path, "incarnation");

    private static string NewIncarnation() => RandomNumberGenerator.GetHexString(IncarnationLength, lowercase: true);

    // Written beside, synced, renamed, and the rename synced: after a crash there is all of it or none.
    private static void WriteDurably(string directory, string file, string text)
    {
        var beside = file + ".new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = FileOwnerOnly };
        using (var stream = new FileStream(beside, options))
        {
            stream.Write(System.Text.Encoding.ASCII.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }

        File.Move(beside, file, overwrite: true);
        Native.SyncDirectory(directory);
    }

    /// <summary>Gives the directory free.</summary>
    public void Dispose() => _lock.Dispose();
}
