using System.Collections.Immutable;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Proto.Scopes;
using CsCheck;

namespace Cheops.Tests.Unit.Planning;

public class PlannerPropertyTests
{
    private static readonly string[] Names = ["Alpha", "Beta", "Gamma", "Delta", "beta"];

    private static readonly Gen<Location> Sites = Gen.OneOf([.. Names, SiteLocation.HereName]).Select(Location (name) => new SiteLocation(name));

    // Few distinct latencies, so that equally near sites and exact bounds are frequent.
    private static readonly Gen<double> Milliseconds = Gen.Int[0, 6].Select(i => i * 2.5);

    private static readonly Gen<Location> Arounds = Gen.Select(Sites, Milliseconds).Select(
        Location (pair) => new AroundLocation((SiteLocation)pair.Item1, TimeSpan.FromMilliseconds(pair.Item2)));

    private static readonly Gen<ImmutableDictionary<(string From, string To), double>> RoundTrips =
        (from name in Names from other in Names where name != other select (name, other)).ToArray() is var pairs
            ? Gen.Select(Milliseconds, Gen.Int[0, 3]).Array[pairs.Length].Select(drawn => pairs.Zip(drawn)
                .Where(pair => pair.Second.Item2 > 0).ToImmutableDictionary(pair => pair.First, pair => pair.Second.Item1))
            : throw new InvalidOperationException();

    [Fact]
    public void Plans_agree_with_an_independent_oracle() =>
        Gen.Select(Trees(3), Gen.OneOf(Names), RoundTrips).Sample((location, here, roundTrips) =>
        {
            var scope = new Scope([new Binding(Binding.Addressed, location)]);
            var result = new Planner(here, ["s"], EmptyReplicantIndex.Instance)
                .Plan(new PlanRequest { Service = "s", Scope = scope }, Mesh(here, roundTrips));
            var expected = PlanOracle.Evaluate(location.ToString(), here, roundTrips);
            return result.Plan?.ToString() == expected ? true : throw new InvalidOperationException($"{result.Plan} instead of {expected}");
        });

    // Of a service that no binding may name, and of those that '*' may stand for.
    private static readonly string[] Services = ["s", "t", "u", "unnamed"];

    private static readonly Gen<Scope> Scopes = Gen.Select(Gen.Shuffle(Services[..3].Append(Binding.AnyOther).ToArray()), Gen.Int[1, 4], Trees(1).Array[4]).Select(
        (names, count, locations) => new Scope([.. names.Take(count).Zip(locations, (name, location) => new Binding(name, location))]));

    [Fact]
    public void The_binding_that_counts_for_a_service_is_that_of_an_independent_oracle() =>
        Gen.Select(Scopes, Gen.OneOf(Services), Gen.OneOf(Names), RoundTrips).Sample((scope, service, here, roundTrips) =>
        {
            var result = new Planner(here, Services, EmptyReplicantIndex.Instance)
                .Plan(new PlanRequest { Service = service, Scope = scope, Origin = RequestOrigin.Workflow }, Mesh(here, roundTrips, Services));
            var expected = PlanOracle.Evaluate(PlanOracle.LocationOf(scope.ToString(), service) ?? here, here, roundTrips);
            return result.Plan?.ToString() == expected ? true : throw new InvalidOperationException($"{scope} for {service}: {result.Plan} instead of {expected}");
        });

    [Fact]
    public void A_scope_with_here_replaced_plans_at_another_site_as_from_the_first() =>
        Gen.Select(Trees(3), RoundTrips).Sample((location, roundTrips) =>
        {
            var scope = new Scope([new Binding("s", location)]);
            var there = scope.Resolve("s", "Alpha");
            var atAlpha = PlanAt("Alpha", scope, roundTrips);
            var atBeta = PlanAt("Beta", there, roundTrips);
            return atAlpha == atBeta;
        });

    private static string? PlanAt(string site, Scope scope, ImmutableDictionary<(string, string), double> roundTrips) =>
        new Planner(site, ["s"], EmptyReplicantIndex.Instance)
            .Plan(new PlanRequest { Service = "s", Scope = scope, Origin = RequestOrigin.Workflow }, Mesh(site, roundTrips)).Plan?.ToString();

    private static ImmutableArray<SiteStatus> Mesh(string here, ImmutableDictionary<(string From, string To), double> roundTrips) => Mesh(here, roundTrips, ["s"]);

    private static ImmutableArray<SiteStatus> Mesh(string here, ImmutableDictionary<(string From, string To), double> roundTrips, string[] services) =>
    [
        .. Names.Select(name =>
        {
            var measured = roundTrips.TryGetValue((here, name), out var ms) ? ms : (double?)null;
            var reported = roundTrips.Where(pair => pair.Key.From == name).Select(pair => (pair.Key.To, pair.Value)).ToArray();
            var site = name == here ? Planning.Sites.Self(name, services) : Planning.Sites.Of(name, measured, services);
            return site.Reporting(reported);
        }),
    ];

    private static Gen<Location> Trees(int depth)
    {
        var leaf = Gen.Frequency((3, Sites), (1, Arounds));
        if (depth == 0)
            return leaf;
        var operands = Gen.Frequency((1, leaf), (1, Trees(depth - 1))).Array[2, 4].Select(ImmutableArray.Create);
        return Gen.Frequency<Location>(
            (1, leaf),
            (4, operands.Select(Location (some) => new FirstLocation(some))),
            (2, Gen.Select(Gen.OneOf(Enum.GetValues<ReplicationOperator>()), operands).Select(Location (pair) => new AllLocation(pair.Item1, pair.Item2))),
            (1, operands.Select(Location (some) => new SpreadLocation(some))));
    }
}
