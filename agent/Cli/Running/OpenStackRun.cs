using System.Security.Cryptography;
using System.Text;

namespace Cheops.Agent.Cli.Running;

/// <summary>
/// Runs the <c>openstack</c> command with the plug-in that the executable carries. The plug-in is laid into the user's
/// cache under a name made of its content, once: the client keeps an index of the plug-ins that it finds in a directory,
/// and would build one anew, and leave it behind, for every temporary directory.
/// </summary>
internal static class OpenStackRun
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const string Metadata = "Metadata-Version: 2.1\nName: cheops-scope\nVersion: 0.1\nSummary: Scopes of Cheops for the openstack command\n";
    private const string EntryPoints = "[openstack.cli.extension]\ncheops_scope = cheops_scope\n";

    public static int Run(Invocation invocation, string? scope)
    {
        var environment = new Dictionary<string, string>(invocation.Context.Environment);
        var directory = LayPlugin(CacheOf(environment));
        var path = environment.GetValueOrDefault("PYTHONPATH");
        environment["PYTHONPATH"] = string.IsNullOrEmpty(path) ? directory : $"{directory}:{path}";
        if (scope is not null) environment["OS_CHEOPS_SCOPE"] = scope;
        return RunCommand.Become(invocation, invocation.Rest, environment);
    }

    private static string CacheOf(Dictionary<string, string> environment)
    {
        if (environment.GetValueOrDefault("XDG_CACHE_HOME") is { Length: > 0 } cache && cache[0] == '/') return cache;
        return environment.GetValueOrDefault("HOME") is { Length: > 0 } home
            ? Path.Combine(home, ".cache")
            : throw new IOException("neither HOME nor XDG_CACHE_HOME is set, so there is no place for the openstack plug-in; set one");
    }

    /// <summary>Lays the plug-in below <paramref name="cache"/> unless it is there; whole or not at all.</summary>
    /// <returns>The directory for <c>PYTHONPATH</c>.</returns>
    internal static string LayPlugin(string cache)
    {
        var code = Code();
        var mark = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(code + Metadata + EntryPoints)))[..12];
        var parent = Path.Combine(cache, "cheops");
        var directory = Path.Combine(parent, $"openstack-{mark}");
        if (Directory.Exists(directory)) return directory;
        Directory.CreateDirectory(parent, OwnerOnly);
        var beside = Path.Combine(parent, Path.GetRandomFileName());
        var info = Path.Combine(beside, "cheops_scope-0.1.dist-info");
        Directory.CreateDirectory(info, OwnerOnly);
        File.WriteAllText(Path.Combine(beside, "cheops_scope.py"), code);
        File.WriteAllText(Path.Combine(info, "METADATA"), Metadata);
        File.WriteAllText(Path.Combine(info, "entry_points.txt"), EntryPoints);
        try
        {
            Directory.Move(beside, directory);
        }
        catch (IOException) when (Directory.Exists(directory))
        {
            // Another command laid the same a moment ago.
            Directory.Delete(beside, recursive: true);
        }

        return directory;
    }

    private static string Code()
    {
        using var stream = typeof(OpenStackRun).Assembly.GetManifestResourceStream("cheops_scope.py")
            ?? throw new InvalidOperationException("The executable was built without its plug-in.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
