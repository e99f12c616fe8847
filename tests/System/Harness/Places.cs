using System.Net;
using System.Net.Sockets;

namespace Cheops.Tests.System.Harness;

/// <summary>Where things are: the repository, the executable, what applications the tests use, addresses, directories.</summary>
internal static class Places
{
    private static int Last = Random.Shared.Next(0, 50) * 200;

    public static string Repository { get; } = FindRepository();

    /// <summary>The published executable: CHEOPS_BIN, else out/cheops.</summary>
    public static string Cheops { get; } = Existing(
        Environment.GetEnvironmentVariable("CHEOPS_BIN") is { Length: > 0 } given ? given : Path.Combine(Repository, "out", "cheops"), "scripts/publish makes it");

    /// <summary>What real applications the tests use: CHEOPS_SHARED, else the directory "shared" beside the repository.</summary>
    public static string Shared => Existing(
        Environment.GetEnvironmentVariable("CHEOPS_SHARED") is { Length: > 0 } given ? given : Path.Combine(Path.GetDirectoryName(Repository)!, "shared"),
        "set CHEOPS_SHARED to the directory with apps/openstack and apps/kubernetes");

    /// <summary>A loopback address that nothing of this run has used: 127.100.0.1 to 127.254.254.1.</summary>
    public static string NewAddress()
    {
        for (var tries = 0; tries < 1000; tries++)
        {
            var n = Interlocked.Increment(ref Last);
            var address = $"127.{100 + (n / 200 % 150)}.{1 + (n % 200)}.1";
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Parse(address), 7070));
                return address;
            }
            catch (SocketException)
            {
                // Somebody else's: the next one.
            }
        }

        throw new InvalidOperationException("no loopback address is free");
    }

    public static string NewDirectory() => Directory.CreateTempSubdirectory("cheops-test-").FullName;

    private static string FindRepository()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Cheops.sln"))) return directory.FullName;
        }

        // Artifacts may be kept elsewhere (CHEOPS_ARTIFACTS): then the tests run from the repository.
        return File.Exists("Cheops.sln") ? Directory.GetCurrentDirectory() : throw new DirectoryNotFoundException("the repository was not found above the tests");
    }

    private static string Existing(string path, string otherwise) =>
        Path.Exists(path) ? Path.GetFullPath(path) : throw new FileNotFoundException($"{path} is missing: {otherwise}");
}
