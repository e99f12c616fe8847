namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What is asked for at the first site that works: made at one of them when that was told, at none when that was.</summary>
/// <param name="thing">What is to be made.</param>
/// <param name="sites">The sites of its scope.</param>
public sealed class AtOne(string thing, IReadOnlyList<string> sites)
{
    /// <summary>Where it was made, once for each time.</summary>
    public IList<string> At { get; } = new List<string>();

    /// <summary>What its client was told.</summary>
    public Told Told { get; set; }

    /// <summary>What is wrong with that; null for nothing.</summary>
    public string? Broken => At.Count > 1 ? $"{thing} was made at {string.Join(" and ", At)}"
        : At.Any(site => !sites.Contains(site)) ? $"{thing} was made at {At[0]}, outside its scope"
        : Told == Told.Accepted && At.Count == 0 ? $"{thing} was accepted and made nowhere"
        : Told == Told.Refused && At.Count > 0 ? $"{thing} was refused and made at {At[0]}"
        : null;
}
