using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;
using Cheops.Agent.Identity;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication;
using Cheops.Agent.Workflows;
using Cheops.Proto.Http;
using Cheops.Proto.Problems;
using Cheops.Proto.Scopes;
using Cheops.Store.Bodies;
using HttpMethod = Cheops.Proto.Http.HttpMethod;

namespace Cheops.Agent.Collaboration;

/// <summary>Tells which of this site's services owns the client's end of a connection; null when none does.</summary>
internal delegate string? SocketOwner(string address, int port);

/// <summary>What a handler is made from.</summary>
internal sealed record RequestHandlerParts
{
    public required string Site { get; init; }

    public required FrozenDictionary<string, LocalService> Services { get; init; }

    public required ProfileSet Profiles { get; init; }

    public required IMesh Mesh { get; init; }

    public required WorkflowTable Workflows { get; init; }

    public required IBodyStore Bodies { get; init; }

    public required TokenUsers Tokens { get; init; }

    public required IReplicantIndex Replicants { get; init; }

    public required CollaborationCounters Counters { get; init; }

    /// <summary>Carries out what is replicated; null at an agent that does not replicate.</summary>
    public Replicator? Replicator { get; init; }

    /// <summary>Large bodies, which other sites' agents fetch; null at an agent that does not replicate.</summary>
    public Contents? Contents { get; init; }

    /// <summary>Finds replicants of other sites; null at an agent that does not replicate.</summary>
    public Elsewhere? Elsewhere { get; init; }

    public SocketOwner Owner { get; init; } = static (_, _) => null;
}

/// <summary>
/// Carries a request out:
/// 1. its scope is found: the Scope field, the path prefix, or the workflow it belongs to;
/// 2. the planner turns service and scope into a plan;
/// 3. the request begins a workflow, or joins the one it belongs to;
/// 4. who the user is at another site is established;
/// 5. the plan is carried out: at one place, at the first that works, or as an operation at all.
/// </summary>
internal sealed partial class RequestHandler : IExchangeHandler
{
    private readonly RequestHandlerParts _parts;
    private readonly Planner _planner;
    private readonly ScopeCache _scopes = new();
    private readonly HeadPreparation _preparation;
    private readonly Failures _failures;
    private readonly Places _places;
    private readonly FirstExecutor _first;
    private readonly ElsewhereExecutor? _elsewhere;

    public RequestHandler(RequestHandlerParts parts)
    {
        _parts = parts;
        _planner = new Planner(parts.Site, parts.Services.Keys.Concat(parts.Profiles.ServiceNames), parts.Replicants);
        _preparation = new HeadPreparation(parts.Site);
        _failures = new Failures(parts.Site);
        _places = new Places(parts.Site, parts.Services, parts.Mesh, parts.Workflows, _preparation, _failures, parts.Counters, parts.Replicator?.Ids);
        _first = new FirstExecutor(_places, parts.Bodies, _failures);
        if (parts is { Elsewhere: { } elsewhere, Replicator: not null })
            _elsewhere = new ElsewhereExecutor(_places, elsewhere, parts.Bodies, EstablishUserAsync, _failures);
    }

    /// <inheritdoc/>
    public ValueTask HandleAsync(Exchange exchange)
    {
        if (exchange.Request.MaxForwards == 0) return FinalRecipient.AnswerAsync(exchange);
        if (exchange.Origin.Link is { } inbound) return HandleLinkAsync(exchange, inbound);
        if (_preparation.IsLoop(exchange.Request)) return exchange.RespondAsync(_failures.Loop(exchange.Origin.Service));
        return HandleClientAsync(exchange);
    }

    // ---- 1: from a client, or from a service on behalf of one ---------------------------------------------------

    private ValueTask HandleClientAsync(Exchange exchange)
    {
        var service = exchange.Origin.Service;
        var profile = _parts.Profiles.For(service);
        var found = FindScope(exchange, profile);
        if (found.Problem is { } problem) return exchange.RespondAsync(problem);

        // What may name a replicant is looked up off the threads that serve sockets.
        return _parts.Replicants.MayName(service, PathOf(exchange.Target))
            ? HandleNamedAsync(exchange, profile, found)
            : PlanAsync(exchange, profile, found, named: false);
    }

    private async ValueTask HandleNamedAsync(Exchange exchange, ServiceProfile profile, Found found)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        if (await IsSettledAsync(exchange, exchange.Origin.Service)) await PlanAsync(exchange, profile, found, named: true);
    }

    // 2.
    private ValueTask PlanAsync(Exchange exchange, ServiceProfile profile, Found found, bool named)
    {
        var service = exchange.Origin.Service;
        var result = _planner.Plan(
            new PlanRequest
            {
                Service = service,
                Scope = found.Scope,
                Origin = found.Workflow is null ? RequestOrigin.Client : RequestOrigin.Workflow,
                Path = named ? PathOf(exchange.Target) : default,
                IsRead = IsRead(exchange.Request),
            },
            _parts.Mesh.Sites);
        if (NotBuilt(exchange, result) is { } notBuilt)
        {
            _parts.Counters.Planned(PlanFate.NotBuilt);
            return exchange.RespondAsync(notBuilt);
        }

        if (!result.IsPlanned)
        {
            _parts.Counters.Planned(PlanFate.Refused);
            return exchange.RespondAsync(_failures.Refused(service, result.Refusal, _parts.Mesh.Sites.Select(site => site.Name)));
        }

        var plan = IsRead(exchange.Request) ? ReplicaSites.ForReading(result.Plan, _parts.Site, _parts.Mesh.Sites) : result.Plan;
        _parts.Counters.Planned(CollaborationCounters.FateOf(plan));
        if (result.Replicant is { } replicant && plan is SitePlan { IsLocal: true }) TellReplicas(exchange, replicant);
        var mayBeElsewhere = result.Replicant is null && plan is SitePlan { IsLocal: true } && !NamesSite(found, service);
        return found.Scope is not null ? CarryOutScopedAsync(exchange, profile, found, plan, mayBeElsewhere)
            : plan is AllPlan or SitePlan { IsLocal: false } ? CarryOutElsewhereAsync(exchange, profile, plan)
            : CarryOutAsync(new Routed { Exchange = exchange, Service = service, Profile = profile, Prefix = "", MayBeElsewhere = mayBeElsewhere }, plan);
    }

    private static bool NamesSite(in Found found, string service) => found.Scope?.LocationOf(service, addressed: found.Workflow is null) is not null;

    private static bool IsRead(RequestHead head) => head.Method is HttpMethod.Get or HttpMethod.Head or HttpMethod.Options or HttpMethod.Trace;

    private void TellReplicas(Exchange exchange, Replicant replicant)
    {
        if (_parts.Replicator?.DescribeRead(replicant) is { Length: > 0 } replicas) exchange.ResponseEdits.Added.Add("Cheops-Replicas"u8, replicas);
    }

    private readonly record struct Found(Scope? Scope, Workflow? Workflow, string Prefix, Problem? Problem);

    private Found FindScope(Exchange exchange, ServiceProfile profile)
    {
        var request = exchange.Request;
        var prefix = ScopePrefix.Split(request.Target, out var inPath, out var restStart);
        if (prefix == ScopePrefixResult.Invalid) return new Found(null, null, "", _failures.InvalidPrefix(exchange.Origin.Service));
        var prefixText = "";
        if (prefix == ScopePrefixResult.Found)
        {
            prefixText = Encoding.ASCII.GetString(request.Target[..restStart]);
            exchange.TrimTarget(restStart);
        }

        if (request.TryGet(KnownField.Scope, out var line))
        {
            // Whoever reads the other one would carry the request out somewhere else.
            return HasSecond(request, KnownField.Scope)
                ? new Found(null, null, "", _failures.TwoScopes(exchange.Origin.Service))
                : Parse(exchange.Origin.Service, Encoding.ASCII.GetString(request.Value(line)), prefixText);
        }

        if (prefix == ScopePrefixResult.Found) return Parse(exchange.Origin.Service, inPath, prefixText);
        return FindWorkflow(exchange, profile);
    }

    private static bool HasSecond(RequestHead request, KnownField field)
    {
        var count = 0;
        foreach (ref readonly var line in request.Fields)
        {
            if (line.Known == field && ++count == 2) return true;
        }

        return false;
    }

    private Found Parse(string service, string text, string prefix) =>
        _scopes.TryParse(text, out var scope, out var error)
            ? new Found(scope, null, prefix, null)
            : new Found(null, null, prefix, _failures.InvalidScope(service, error));

    private Found FindWorkflow(Exchange exchange, ServiceProfile profile)
    {
        var match = _parts.Workflows.Match(new HeadFields(exchange.Request));
        if (match.Kind == MatchKind.None && exchange.Origin.ClientPort != 0 && _parts.Workflows.AnyUnderWay)
            match = _parts.Workflows.MatchCaller(_parts.Owner(exchange.Origin.ClientAddress, exchange.Origin.ClientPort), profile);
        return match.Kind switch
        {
            MatchKind.Matched => new Found(match.Workflow!.Scope, match.Workflow, "", null),
            MatchKind.Ambiguous or MatchKind.Gone => new Found(null, null, "", _failures.Ambiguous(exchange.Origin.Service, match.Detail)),
            _ => default,
        };
    }

    private static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> target)
    {
        var query = target.IndexOf((byte)'?');
        return query < 0 ? target : target[..query];
    }

    // ---- 3, 4: scoped ---------------------------------------------------------------------------------------------

    private async ValueTask CarryOutScopedAsync(Exchange exchange, ServiceProfile profile, Found found, Plan plan, bool mayBeElsewhere)
    {
        var (workflow, fields) = Enter(exchange, profile, found);
        try
        {
            var (user, problem) = await EstablishUserAsync(exchange, profile, plan);
            if (problem is not null)
            {
                await exchange.RespondAsync(problem);
                return;
            }

            await CarryOutAsync(
                new Routed
                {
                    Exchange = exchange,
                    Service = exchange.Origin.Service,
                    Profile = profile,
                    Workflow = workflow,
                    Fields = fields,
                    User = user,
                    Prefix = found.Prefix,
                    MayBeElsewhere = mayBeElsewhere,
                },
                plan);
        }
        finally
        {
            _parts.Workflows.Finish(workflow);
        }
    }

    private (Workflow Workflow, ImmutableArray<OutgoingField> Fields) Enter(Exchange exchange, ServiceProfile profile, Found found)
    {
        var fields = new HeadFields(exchange.Request);
        if (found.Workflow is { } known)
        {
            _parts.Workflows.Join(known);
            return (known, WorkflowFields.ToSend(known, profile.Correlation, fields));
        }

        var beginning = _parts.Workflows.Begin(found.Scope!.Resolve(exchange.Origin.Service, _parts.Site), profile, fields);
        return (beginning.Workflow, beginning.Fields);
    }

    private async ValueTask<(UserIdentity? User, Problem? Problem)> EstablishUserAsync(Exchange exchange, ServiceProfile profile, Plan plan)
    {
        if (profile.Identity != IdentityRule.FrontProxy) return default;
        if (exchange.Origin.CertificateUser is { } user) return (user, null);

        // A bearer token is good at the site that issued it. Here the service itself looks at it; elsewhere the agent
        // must know whose it is.
        if (plan is SitePlan { IsLocal: true } || BearerOf(exchange.Request) is not { } token) return default;
        try
        {
            var named = await _parts.Tokens.FindAsync(exchange.Origin.Service, token, CancellationToken.None);
            return named is not null
                ? (named, null)
                : (null, _failures.IdentityUnknown(exchange.Origin.Service, $"{_parts.Site} does not know the bearer token; nothing was sent to another site"));
        }
        catch (IOException e)
        {
            return (null, _failures.NotConnected(exchange.Origin.Service, e));
        }
    }

    private static string? BearerOf(RequestHead head)
    {
        if (!head.TryGet(KnownField.Authorization, out var line)) return null;
        var value = head.Value(line);
        return value.Length > 7 && Ascii.EqualsIgnoreCase(value[..7], "Bearer "u8) ? Encoding.ASCII.GetString(value[7..].Trim((byte)' ')) : null;
    }

    // A replicant is known by its path, with or without a scope; who the user is must be established all the same.
    private async ValueTask CarryOutElsewhereAsync(Exchange exchange, ServiceProfile profile, Plan plan)
    {
        var (user, problem) = await EstablishUserAsync(exchange, profile, plan);
        if (problem is not null) await exchange.RespondAsync(problem);
        else await CarryOutAsync(new Routed { Exchange = exchange, Service = exchange.Origin.Service, Profile = profile, User = user, Prefix = "" }, plan);
    }

    // ---- 5 --------------------------------------------------------------------------------------------------------

    private ValueTask CarryOutAsync(in Routed routed, Plan plan) => plan switch
    {
        SitePlan one => RunOneAsync(WithCertificateUser(routed), one),
        FirstPlan first => _first.RunAsync(routed, first),
        AllPlan all => RunAllAsync(routed, all),
        _ => throw new InvalidOperationException($"a plan that is not carried out: {plan}"),
    };

    private async ValueTask RunAllAsync(Routed routed, AllPlan all)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.ContinueOnCapturedContext);
        var sites = ReplicaSites.Of(all, _parts.Mesh.Sites);
        if (!sites.Contains(_parts.Site))
        {
            var nearest = ReplicaSites.Nearest(sites, _parts.Mesh.Sites);
            await RunOneAsync(routed with { Replicate = true }, new SitePlan(nearest, IsLocal: false));
        }
        else if (!await _parts.Replicator!.TryReplicateAsync(WithCertificateUser(routed), all, sites))
        {
            await RunOneAsync(WithCertificateUser(routed), new SitePlan(_parts.Site, IsLocal: true));
        }
    }

    // Here, too, a user whose certificate the agent has verified is asserted: the service sees the agent's connection only.
    private static Routed WithCertificateUser(in Routed routed) =>
        routed.User is null && routed.Profile.Identity == IdentityRule.FrontProxy && routed.Exchange.Origin.CertificateUser is { } user
            ? routed with { User = user }
            : routed;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask RunOneAsync(Routed routed, SitePlan plan)
    {
        if (routed.MayBeElsewhere && _elsewhere?.MayBe(routed) == true)
        {
            await _elsewhere.RunAsync(routed);
            return;
        }

        var exchange = routed.Exchange;
        var attempt = await _places.TryAsync(routed, plan, exchange.WholeBody);
        if (attempt.Connection is not null)
            await Relaying.RelayAsync(exchange, attempt, _failures);
        else if (attempt.Problem is not null)
            await exchange.RespondAsync(attempt.Problem);
    }

    // What this version does not carry out: cross, the other kinds of replication, and replication within otherwise.
    private Problem? NotBuilt(Exchange exchange, PlanResult result)
    {
        if ((result.Asked ?? result.Plan) is not { } asked) return null;
        var operators = PlanOperators.NotBuilt(asked, mayReplicate: _parts.Replicator is not null || IsRead(exchange.Request));
        return operators.Length == 0 ? null : _failures.NotBuilt(exchange.Origin.Service, asked, operators);
    }
}
