using System.Globalization;
using System.Text.Json;

namespace Cheops.Tests.Simulation.Checkers;

/// <summary>What agents promise of the sites that they tell of. Times are ticks of 100 ns.</summary>
/// <param name="SilentMax">Up to when a site is told as up after its last heartbeat, and how old one's own may be that it says it has heard.</param>
/// <param name="DelayMax">How long a message is on its way at most, and is waited for by what has become due.</param>
/// <param name="MetMax">After so long without any fault, sites know of each other.</param>
/// <param name="LosesNothing">Whether every message arrives where nothing is cut: else a site may have heard nothing for long.</param>
public sealed record SitesPromise(long SilentMax, long DelayMax, long MetMax, bool LosesNothing);

/// <summary>
/// Whether what an agent tells of the sites (<c>/_cheops/v1/sites</c>) is true, by who could send to whom. No claim is refuted that
/// was true when its stated age says so.
/// </summary>
/// <param name="sites">All sites of the mesh.</param>
/// <param name="reachability">Who could send to whom.</param>
/// <param name="promise">What agents promise.</param>
public sealed class SitesJudge(IReadOnlyCollection<string> sites, Reachability reachability, SitesPromise promise)
{
    private const long Second = TimeSpan.TicksPerSecond;

    /// <summary>Ages are told to the millisecond, by clocks that drift.</summary>
    public const long RoundingMax = TimeSpan.TicksPerMillisecond * 2;

    /// <summary>How much of an age clocks may be off.</summary>
    public const double DriftMax = 0.0005;

    /// <summary>The lies in what is told.</summary>
    /// <param name="here">Who tells it.</param>
    /// <param name="now">When.</param>
    /// <param name="told">The list of sites.</param>
    public IEnumerable<string> Judge(string here, long now, JsonElement told)
    {
        var all = told.EnumerateArray().ToArray();
        var own = all.Where(one => one.GetProperty("self").GetBoolean()).Select(NameOf).ToArray();
        var names = all.Select(NameOf).Order(StringComparer.Ordinal).ToArray();
        if (own is not [var self] || self != here) yield return $"{here} tells that it is {(own.Length == 0 ? "no site" : string.Join(" and ", own))}";
        if (!names.SequenceEqual(sites.Order(StringComparer.Ordinal))) yield return $"{here} tells of the sites {string.Join(", ", names)}, and there are {string.Join(", ", sites)}";
        foreach (var other in all.Where(one => !one.GetProperty("self").GetBoolean() && sites.Contains(NameOf(one))))
        {
            foreach (var lie in JudgeOther(here, now, other)) yield return lie;
        }
    }

    private static string NameOf(JsonElement told) => told.GetProperty("name").GetString()!;

    private IEnumerable<string> JudgeOther(string here, long now, JsonElement told)
    {
        var (there, state) = (NameOf(told), told.GetProperty("state").GetString()!);
        var (heard, measured) = (AgeIn(told, "heardSecondsAgo"), AgeIn(told, "roundTripSecondsAgo"));
        var isUp = state is "up" or "draining";
        if (heard < 0 || measured < 0)
        {
            yield return Print($"{here} tells that {there} is {state}, and of something that is {-Math.Min(heard ?? 0, measured ?? 0):0.000} s ahead");
            yield break;
        }

        // Whoever stands still hears it later.
        if (heard is { } ago && !CouldBeHeard(here, there, now, ago))
            yield return Print($"{here} tells that {there} is {state}, heard {ago:0.000} s ago, when it could not send to it");
        if (isUp && (heard is null || heard * Second > promise.SilentMax)) yield return Print($"{here} tells that {there} is {state}, and has not heard it for {heard ?? -1:0.000} s");
        if (isUp && !reachability.Could(here, there, EchoedSince(here, now), now)) yield return $"{here} tells that {there} is {state}, and could send nothing to it for long";
        if (!isUp && promise.LosesNothing && IsFaultless(here, there, now)) yield return $"{here} tells that {there} is {state}, although nothing was wrong for {promise.MetMax / Second} s";

        // It is measured by what is heard.
        if (measured is not { } since) yield break;
        if (!CouldBeHeard(here, there, now, since)) yield return Print($"{here} tells of a round trip to {there} {since:0.000} s ago, when it could not send to it");
        if (heard is null || since * Second < (heard * Second) - RoundingMax) yield return Print($"{here} tells of a round trip to {there} {since:0.000} s ago, and has not heard it since {heard ?? -1:0.000} s");
        if (told.GetProperty("roundTripMs").GetDouble() is < 0 and var ms) yield return Print($"{here} tells of a round trip to {there} of {ms} ms");
    }

    private static double? AgeIn(JsonElement told, string name) => told.TryGetProperty(name, out var age) && age.ValueKind == JsonValueKind.Number ? age.GetDouble() : null;

    private static string Print(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private bool CouldBeHeard(string here, string there, long now, double seconds)
    {
        var (ago, slack) = ((long)(seconds * Second), RoundingMax + (long)(seconds * DriftMax * Second));
        var since = reachability.StillSince(here, now - ago - slack, slack + promise.DelayMax) - slack - promise.DelayMax;
        return reachability.Could(there, here, since, now - ago + slack);
    }

    // Since when what is sent to a site that is told as up may have been heard there.
    private long EchoedSince(string here, long now)
    {
        var at = now - promise.SilentMax - promise.DelayMax;
        var still = reachability.StillSince(here, at, promise.SilentMax);
        return still < at ? still - promise.SilentMax - promise.DelayMax : at;
    }

    private bool IsFaultless(string here, string there, long now) =>
        now > promise.MetMax && reachability.CouldAlways(here, there, now - promise.MetMax, now) && reachability.CouldAlways(there, here, now - promise.MetMax, now);
}
