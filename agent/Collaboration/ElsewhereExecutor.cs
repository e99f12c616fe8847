using System.Runtime.CompilerServices;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Proto;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;
using Cheops.Store.Bodies;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Collaboration;

/// <summary>Tells for whom another site is to act; or why that is not known.</summary>
internal delegate ValueTask<(UserIdentity? User, Problem? Problem)> EstablishUser(Exchange exchange, ServiceProfile profile, Plan plan);

/// <summary>
/// Carries a request out at the instance here. One that it answers with 404, which surely changed nothing, may name a replicant
/// of other sites: 1. the sites that hold some are asked; 2. a site that has it carries the request out. Whatever goes wrong
/// before that site has taken it, the client gets the 404 of the instance here, unchanged.
/// </summary>
internal sealed class ElsewhereExecutor(Places places, Elsewhere elsewhere, IBodyStore bodies, EstablishUser establishUser, Failures failures)
{
    /// <summary>Whether a request may name a replicant of other sites, as far as is known before it was answered here.</summary>
    public bool MayBe(in Routed routed) =>
        elsewhere.IsAny
        && routed.Exchange.Request is { IsUpgrade: false, Method: HttpMethod.Get or HttpMethod.Head or HttpMethod.Post or HttpMethod.Put or HttpMethod.Patch or HttpMethod.Delete } head
        && (head.Framing == BodyFraming.None || IsOfOneResource(routed, routed.Exchange.Target));

    private static bool IsOfOneResource(in Routed routed, ReadOnlySpan<byte> target) =>
        OperationRules.IsOfOneResource(routed.Profile.Paths.Match(PathOf(target)), routed.Exchange.Request.MethodBytes);

    private static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> target)
    {
        var query = target.IndexOf((byte)'?');
        return query < 0 ? target : target[..query];
    }

    /// <summary>Carries it out.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask RunAsync(Routed routed)
    {
        var exchange = routed.Exchange;
        await using var kept = exchange.Request.Framing == BodyFraming.None ? null : new ReplayableBody(exchange.Body, bodies, Bounds.BodyMemorySizeMax);
        var whole = kept is null ? exchange.WholeBody : kept.NewReader;
        var answered = await places.TryHereAsync(routed, whole);

        // Sent again, since its answer was lost perhaps, a DELETE must not mean another site's.
        if (exchange.Request.Method == HttpMethod.Delete && answered.Outcome.Status != 404 && IsOfOneResource(routed, exchange.Target))
            elsewhere.Deleted(routed.Service, PathOf(exchange.Target));
        if (answered is { Connection: not null, Outcome.Status: 404 } && kept?.NotKept is null && IsOfOneResource(routed, exchange.Target)
            && await TryElsewhereAsync(routed, whole, kept) is { } there)
        {
            answered.Release(exchange);
            answered = there;
        }

        if (answered.Connection is not null)
            await Relaying.RelayAsync(exchange, answered, failures);
        else if (answered.Problem is not null)
            await exchange.RespondAsync(answered.Problem);
    }

    // Null when the answer of the instance here stands.
    private async ValueTask<Attempt?> TryElsewhereAsync(Routed routed, Func<BodySource> whole, ReplayableBody? kept)
    {
        var exchange = routed.Exchange;
        var isRead = exchange.Request.Method is HttpMethod.Get or HttpMethod.Head;
        if (await elsewhere.FindAsync(routed.Service, PathOf(exchange.Target).ToArray(), isRead) is not { } site) return null;
        var plan = new SitePlan(site, IsLocal: false);
        var (user, problem) = await establishUser(exchange, routed.Profile, plan);
        if (problem is not null || exchange.ClientGone || kept?.NotKept is not null) return null;
        var attempt = await places.TryAsync(routed with { User = user ?? routed.User, Replicate = true }, plan, whole);
        if (IsTaken(attempt)) return attempt;
        attempt.Release(exchange);
        return null;
    }

    // Not when the site was not reached, or has no such replicant any more.
    private static bool IsTaken(in Attempt attempt) =>
        attempt.Outcome.Kind != AttemptKind.NotReached || attempt.Connection is { Answer.Status: not 404 };
}
