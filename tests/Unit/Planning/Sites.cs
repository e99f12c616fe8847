using System.Collections.Immutable;
using Cheops.Agent.Mesh;

namespace Cheops.Tests.Unit.Planning;

/// <summary>Snapshots of sites, written briefly.</summary>
internal static class Sites
{
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    public static SiteStatus Self(string name, params string[] services) => Of(name, null, services) with { IsSelf = true, RoundTrip = TimeSpan.Zero };

    /// <summary>A site that is up; services as <c>glance</c> or <c>glance=2.1</c>.</summary>
    public static SiteStatus Of(string name, double? roundTripMs, params string[] services) => new()
    {
        Name = name,
        State = SiteState.Up,
        HeardAt = Now.AddSeconds(-1),
        RoundTrip = roundTripMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null,
        RoundTripAt = roundTripMs is null ? null : Now.AddSeconds(-2),
        Services = services.Select(service => service.Split('=')).ToImmutableDictionary(parts => parts[0], parts => parts.ElementAtOrDefault(1) ?? ""),
    };

    public static SiteStatus Reporting(this SiteStatus site, params (string To, double Ms)[] roundTrips) =>
        site with { RoundTripsFromThere = roundTrips.ToImmutableDictionary(pair => pair.To, pair => TimeSpan.FromMilliseconds(pair.Ms)) };
}
