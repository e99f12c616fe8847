using System.Collections.Immutable;
using System.Text;

namespace Cheops.Agent.Replication;

/// <summary>
/// Credentials that a request carries in its query, such as <c>access_token</c> or a signature: taken out of the target before that is
/// recorded or shown, and put in again where it is sent. Which they are, <see cref="SealedCredentials.IsCredentialParameter"/> says.
/// </summary>
internal static class QueryCredentials
{
    /// <summary>What stands in a recorded target in place of a value.</summary>
    public const string Hidden = "***";

    /// <summary>Takes the credentials out of a target.</summary>
    /// <returns>The target, and what was taken, each as <c>name=value</c> and as it came, in order.</returns>
    public static (string Target, ImmutableArray<string> Taken) Take(string target)
    {
        var taken = ImmutableArray.CreateBuilder<string>();
        var left = Each(target, parameter =>
        {
            taken.Add(parameter);
            return $"{parameter[..parameter.IndexOf('=', StringComparison.Ordinal)]}={Hidden}";
        });
        return taken.Count == 0 ? (target, []) : (left, taken.ToImmutable());
    }

    /// <summary>Puts credentials in again; the parameters of those that are not there are left out.</summary>
    /// <param name="target">A target as it is recorded, perhaps with other ids.</param>
    /// <param name="taken">What was taken from it; less when another credential takes its place.</param>
    public static string Put(string target, ImmutableArray<string> taken)
    {
        var next = 0;
        return Each(target, parameter => !parameter.EndsWith($"={Hidden}", StringComparison.Ordinal) ? parameter : !taken.IsDefault && next < taken.Length ? taken[next++] : null);
    }

    /// <summary>Adds credentials to another target, by which the same user reads.</summary>
    public static string Add(string target, ImmutableArray<string> taken) =>
        taken.IsDefaultOrEmpty ? target : $"{target}{(target.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{string.Join('&', taken)}";

    // Some services part parameters with a semicolon too.
    private static string Each(string target, Func<string, string?> change)
    {
        var query = target.IndexOf('?', StringComparison.Ordinal);
        if (query < 0) return target;
        var made = new StringBuilder(target, 0, query, target.Length);
        var separator = '?';
        for (var at = query + 1; at <= target.Length;)
        {
            var end = target.AsSpan(at).IndexOfAny('&', ';') is >= 0 and var length ? at + length : target.Length;
            var parameter = target[at..end];
            if ((IsCredential(parameter) ? change(parameter) : parameter) is { } stands)
            {
                made.Append(separator).Append(stands);
                separator = '&';
            }

            if (end < target.Length && separator != '?') separator = target[end];
            at = end + 1;
        }

        return made.ToString();
    }

    private static bool IsCredential(string parameter) =>
        parameter.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals && SealedCredentials.IsCredentialParameter(Uri.UnescapeDataString(parameter[..equals]));
}
