using System.Collections.Immutable;
using Cheops.Proto.Scopes;
using CsCheck;

namespace Cheops.Tests.Unit.Scopes;

/// <summary>Random scope trees, by construction within the parser's bounds.</summary>
internal static class ScopeTrees
{
    private static readonly Gen<string> Names = Gen.Frequency(
        (8, Gen.OneOf("Site1", "Site2", "Site3", "a", "around", "x-y.z_0", "ms", "s")),
        (1, Gen.String[Gen.Char["abzAZ019_.-"], 0, 62].Select(tail => "N" + tail)));

    private static readonly Gen<SiteLocation> Sites = Gen.Frequency(
        (6, Names.Select(name => new SiteLocation(name))), (1, Gen.Const(SiteLocation.Here)));

    private static readonly Gen<TimeSpan> Durations = Gen.Frequency(
        (3, Gen.Int[0, 5000].Select(ms => TimeSpan.FromMilliseconds(ms))),
        (1, Gen.Long[0, TimeSpan.TicksPerHour].Select(TimeSpan.FromTicks)),
        (1, Gen.Int[0, 3600].Select(s => TimeSpan.FromSeconds(s))));

    public static readonly Gen<Location> Locations = Gen.Int[0, 4].SelectMany(OfDepth);

    private static readonly Gen<string> Services = Gen.Frequency(
        (6, Gen.OneOf("glance", "nova", "kube", "placement", "Site1", "here", "around")), (1, Gen.Const(Binding.AnyOther)));

    public static readonly Gen<Scope> Scopes = Gen.Frequency(
        (1, Locations.Select(location => new Scope([new Binding(Binding.Addressed, location)]))),
        (2, Gen.Select(Services, Locations).Array[1, 5].Select(pairs => new Scope(
            [.. pairs.DistinctBy(pair => pair.Item1).Select(pair => new Binding(pair.Item1, pair.Item2))]))));

    private static Gen<Location> OfDepth(int depth)
    {
        var leaf = Gen.Frequency<Location>(
            (4, Sites.Select(Location (site) => site)),
            (1, Gen.Select(Sites, Durations).Select(Location (pair) => new AroundLocation(pair.Item1, pair.Item2))));
        if (depth == 0)
            return leaf;
        var operands = Gen.Frequency((2, leaf), (1, OfDepth(depth - 1))).Array[2, 4].Select(ImmutableArray.Create);
        return Gen.Frequency<Location>(
            (1, leaf),
            (2, operands.Select(Location (some) => new FirstLocation(some))),
            (2, Gen.Select(Gen.OneOf(Enum.GetValues<ReplicationOperator>()), operands)
                .Select(Location (pair) => new AllLocation(pair.Item1, pair.Item2))),
            (2, operands.Select(Location (some) => new SpreadLocation(some))));
    }
}
