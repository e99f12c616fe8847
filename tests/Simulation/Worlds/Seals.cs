using System.Collections.Concurrent;
using Cheops.Agent.Identity;

namespace Cheops.Tests.Simulation.Worlds;

/// <summary>The sites' keys. They are no part of what a seed decides: what they seal is opened again, and nothing looks at it between.</summary>
internal static class Seals
{
    private static readonly ConcurrentDictionary<int, Lazy<CredentialSeal>> Made = new();

    /// <summary>The key of a site.</summary>
    public static CredentialSeal Of(int number) => Made.GetOrAdd(number, static _ => new Lazy<CredentialSeal>(Make)).Value;

    private static CredentialSeal Make()
    {
        var directory = Directory.CreateTempSubdirectory("cheops-simulation-");
        try
        {
            return CredentialSeal.Open(Path.Combine(directory.FullName, "key"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }
}
