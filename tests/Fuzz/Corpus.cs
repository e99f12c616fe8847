using System.Reflection;
using System.Security.Cryptography;

namespace Cheops.Tests.Fuzz;

/// <summary>
/// Inputs that are kept in the repository, below <c>tests/Fuzz/Corpus</c>: <c>TARGET/</c> has what led runs to new branches,
/// <c>TARGET/crashes/</c> what once broke a property. Every run begins with them, and the unit tests run them all.
/// </summary>
public static class Corpus
{
    /// <summary>Longest input that is kept; longer ones are left to the runs.</summary>
    private const int KeptSizeMax = 1024;

    /// <summary>Most inputs that are kept for a target.</summary>
    private const int KeptCountMax = 60;

    /// <summary>The inputs that are kept for a target, those that once broke a property among them.</summary>
    public static IEnumerable<byte[]> Of(IFuzzTarget target)
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith($"Corpus/{target.Name}/", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            yield return bytes;
        }
    }

    /// <summary>
    /// Writes to a directory the inputs, shortest first, each of which takes branches in an order that neither the target's own
    /// seeds nor those before it take.
    /// </summary>
    /// <returns>How many were written.</returns>
    public static int Write(IFuzzTarget target, IEnumerable<byte[]> inputs, string directory)
    {
        var coverage = new Coverage();
        foreach (var seed in target.Seeds) TakesNew(seed);
        var kept = inputs.Where(input => input.Length <= KeptSizeMax).OrderBy(input => input.Length).Where(TakesNew).Take(KeptCountMax).ToList();
        Directory.CreateDirectory(directory);
        foreach (var file in Directory.EnumerateFiles(directory, "*.bin")) File.Delete(file);
        foreach (var input in kept) File.WriteAllBytes(Path.Combine(directory, NameOf(input)), input);
        return kept.Count;

        bool TakesNew(byte[] input)
        {
            var before = coverage.Edges;
            Coverage.Begin();
            target.Run(input);
            coverage.Take();
            return coverage.Edges > before;
        }
    }

    /// <summary>The name of the file that keeps an input.</summary>
    public static string NameOf(byte[] input) => Convert.ToHexStringLower(SHA256.HashData(input))[..16] + ".bin";
}
