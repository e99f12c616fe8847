using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Workflows;
using Cheops.Proto.Http;

namespace Cheops.Agent.Collaboration;

/// <summary>The two places where a request can be carried out: the instance here, and another site.</summary>
/// <param name="site">This site.</param>
/// <param name="services">Its service instances.</param>
/// <param name="mesh">The links.</param>
/// <param name="workflows">Which workflows are under way.</param>
/// <param name="preparation">Prepares heads.</param>
/// <param name="failures">Words failures.</param>
/// <param name="counters">Counts what is sent.</param>
/// <param name="ids">Translates ids for the instances here; null at an agent that does not replicate.</param>
internal sealed class Places(
    string site, FrozenDictionary<string, LocalService> services, IMesh mesh, WorkflowTable workflows, HeadPreparation preparation, Failures failures,
    CollaborationCounters counters, IdTranslation? ids)
{
    /// <summary>Sends the request to one place and reads its answer up to the head.</summary>
    public ValueTask<Attempt> TryAsync(in Routed routed, SitePlan plan, Func<BodySource> body) =>
        plan.Site == site ? TryHereAsync(routed, body) : TryThereAsync(routed, plan.Site, body);

    /// <summary>Sends the request to the instance at this site.</summary>
    /// <param name="routed">The request.</param>
    /// <param name="body">Gives the body from its start, for each sending.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Attempt> TryHereAsync(Routed routed, Func<BodySource> body)
    {
        if (!services.TryGetValue(routed.Service, out var service)) return Unreached(failures.UnknownService(routed.Service));
        using var visit = routed.Workflow is null ? default : workflows.Visit(routed.Workflow, service.Name);
        var asFrontProxy = routed.User is not null && routed.Profile.Identity == IdentityRule.FrontProxy;
        var exchange = routed.Exchange;
        exchange.AnswerFromPeer = false;
        exchange.Rewriting = null;
        if (ids?.IsNeeded(routed.Profile, routed.Service) == true)
        {
            try
            {
                body = (exchange.Rewriting = await ids.PrepareAsync(exchange, routed.Profile, routed.Service, body)).Body;
            }
            catch (IOException)
            {
                exchange.NoteClientGone();
                return new Attempt(AttemptOutcome.NotReached, null, null);
            }
        }

        preparation.Prepare(routed, assertUser: asFrontProxy);
        var sent = counters.Sent(service.Name, "");
        var begun = sent.Begin();
        for (var retried = false; ; retried = true)
        {
            UpstreamConnection connection;
            try
            {
                connection = await service.Pool.AcquireAsync(asFrontProxy, fresh: retried);
            }
            catch (IOException e)
            {
                sent.End(begun, exchange, AttemptKind.NotReached);
                return Unreached(failures.NotConnected(service.Name, e));
            }

            var source = body();
            var failure = await connection.SendAsync(exchange, source);
            if (failure == CallFailure.None)
            {
                sent.End(begun, exchange, AttemptKind.Answered, connection.Answer.Status);
                if (routed.Workflow is not null) workflows.Learn(routed.Workflow, routed.Profile, new HeadFields(connection.Answer));
                return new Attempt(AttemptOutcome.Answered(connection.Answer.Status), connection, null) { Pool = service.Pool, AsFrontProxy = asFrontProxy, Rewriting = exchange.Rewriting };
            }

            // A service may close an idle connection just when a request is on its way: for a request that may be
            // repeated, that is no failure worth telling.
            var again = failure == CallFailure.ClosedBeforeAnswer && connection.IsReused && !retried
                && exchange.Request.IsIdempotent && !source.IsTouched;
            var problem = failures.Of(failure, service.Name, connection, exchange.BodyRefusal);
            connection.Detach(exchange);
            _ = connection.CloseAsync();
            if (!again)
            {
                sent.End(begun, exchange, AttemptKind.Lost);
                return new Attempt(AttemptOutcome.Lost, null, problem);
            }

            service.Pool.NoteRetry();
        }
    }

    private async ValueTask<Attempt> TryThereAsync(Routed routed, string there, Func<BodySource> body)
    {
        var exchange = routed.Exchange;
        Transport.Channel channel;
        var sent = counters.Sent(routed.Service, there);
        var begun = sent.Begin();
        try
        {
            channel = mesh.OpenStream(there, OpeningOf(routed));
        }
        catch (LinkException e)
        {
            sent.End(begun, exchange, AttemptKind.NotReached);
            return Unreached(failures.NotForwarded(routed.Service, e));
        }

        // There it is the request as the client sent it.
        exchange.Rewriting = null;
        preparation.Prepare(routed, assertUser: false);
        var connection = new UpstreamConnection(channel);
        connection.Answer.IsFromAgent = true;
        var source = body();
        var failure = await connection.SendAsync(exchange, source);
        if (failure == CallFailure.None)
        {
            exchange.AnswerFromPeer = true;
            var answered = OutcomeOf(connection.Answer);
            sent.End(begun, exchange, answered.Kind, connection.Answer.Status);
            return new Attempt(answered, connection, null);
        }

        var problem = failures.Of(failure, routed.Service, connection, exchange.BodyRefusal);
        var outcome = connection.Error is LinkException { NothingExecuted: true } ? AttemptOutcome.NotReached : AttemptOutcome.Lost;
        sent.End(begun, exchange, outcome.Kind);
        connection.Detach(exchange);
        _ = connection.CloseAsync();
        return new Attempt(outcome, null, problem);
    }

    private static StreamOpening OpeningOf(in Routed routed) => new()
    {
        Service = routed.Service,
        Workflow = routed.Workflow is { } workflow ? new WorkflowOrigin(workflow.Id.ToString(), workflow.Scope.ToString()) : null,
        User = routed.User,
        ClientAddress = routed.Exchange.Origin.ClientAddress,
        Scheme = routed.Exchange.Origin.Scheme,
        Replicate = routed.Replicate,
    };

    // The other agent says by Cheops-Error that the application did not answer, and whether it can have been executed.
    private static AttemptOutcome OutcomeOf(ResponseHead answer)
    {
        if (!answer.TryGet("cheops-error"u8, out var line)) return AttemptOutcome.Answered(answer.Status);
        return Encoding.ASCII.GetString(answer.Value(line)).Contains("retry-safe=?1", StringComparison.Ordinal)
            ? AttemptOutcome.NotReached
            : AttemptOutcome.Lost;
    }

    private static Attempt Unreached(Proto.Problems.Problem problem) => new(AttemptOutcome.NotReached, null, problem);
}
