using System.Runtime.CompilerServices;
using Cheops.Agent.Interception;
using Cheops.Agent.Planning;
using Cheops.Proto.Http;
using Cheops.Store.Bodies;

namespace Cheops.Agent.Collaboration;

/// <summary>
/// Carries out <em>otherwise</em>: one location after the other, by the rules of <see cref="FirstDecision"/>.
/// </summary>
/// <remarks>
/// The first answer that an application gave is kept while others are tried, by leaving it unread on its connection:
/// it costs no memory, and back-pressure holds it where it is.
/// </remarks>
internal sealed class FirstExecutor(Places places, IBodyStore bodies, Failures failures)
{
    public async ValueTask RunAsync(Routed routed, FirstPlan plan)
    {
        var exchange = routed.Exchange;
        await using var body = exchange.Request.Framing == BodyFraming.None ? null : new ReplayableBody(exchange.Body, bodies);
        var next = body is null ? exchange.WholeBody : body.NewReader;
        var decision = new FirstDecision(exchange.Request.IsIdempotent, plan.Alternatives.Length);
        var trail = new PlanTrail();
        Attempt kept = default;
        Attempt last = default;
        var step = new FirstStep(FirstAction.TryNext, 0, true);
        while (step.Action == FirstAction.TryNext)
        {
            if (body?.NotKept is { } lost)
            {
                // A refusal of one location is no answer to a scope that names further ones, which were not asked.
                kept.Release(exchange);
                await RelayOrAsync(exchange, default, trail, failures.BodyNotKept(routed.Service, lost, step.RetrySafe, trail.ToString()));
                return;
            }

            // 1. Try the location. 2. Note what it did. 3. Decide. 4. Keep its answer if it is the first, else let it go.
            var alternative = (SitePlan)plan.Alternatives[step.Index];
            last = await places.TryAsync(routed, alternative, next);
            if (last is { Connection: null, Problem: null } || exchange.ClientGone)
            {
                last.Release(exchange);
                kept.Release(exchange);
                return;
            }

            trail.Add(alternative, last.Outcome);
            step = decision.Next(last.Outcome);
            if (step.Action != FirstAction.TryNext) break;
            if (kept.Connection is null && last.Outcome.Kind == AttemptKind.Answered) kept = last;
            else last.Release(exchange);
        }

        await ConcludeAsync(routed, step, kept, last, trail);
    }

    private async ValueTask ConcludeAsync(Routed routed, FirstStep step, Attempt kept, Attempt last, PlanTrail trail)
    {
        var exchange = routed.Exchange;
        var problem = failures.NoneReached(routed.Service, step.RetrySafe, trail.ToString());
        if (step.Action != FirstAction.Answer)
        {
            kept.Release(exchange);

            // Another site's own account of what went wrong is worth more than ours.
            await RelayOrAsync(exchange, last.Outcome.Kind == AttemptKind.Lost ? last : Released(exchange, last), trail, last.Problem is { RetrySafe: false } own ? own : problem);
            return;
        }

        var answersLast = last.Connection is not null && last.Outcome.Kind == AttemptKind.Answered
            && (kept.Connection is null || last.Outcome.Status < 400 || (!exchange.Request.IsIdempotent && last.Outcome.Status >= 500));
        if (answersLast) kept.Release(exchange);
        else last.Release(exchange);
        await RelayOrAsync(exchange, answersLast ? last : kept, trail, problem);
    }

    private static Attempt Released(Exchange exchange, Attempt attempt)
    {
        attempt.Release(exchange);
        return default;
    }

    private async ValueTask RelayOrAsync(Exchange exchange, Attempt attempt, PlanTrail trail, Proto.Problems.Problem problem)
    {
        exchange.ResponseEdits.Clear();
        exchange.ResponseEdits.Added.Add("Cheops-Plan"u8, trail.ToString());
        if (attempt.Connection is null)
        {
            await exchange.RespondAsync(problem);
            return;
        }

        await Relaying.RelayAsync(exchange, attempt, failures, problem);
    }
}

/// <summary>Relays an attempt's answer to the client.</summary>
internal static class Relaying
{
    /// <summary>Streams the answer, and lets go of its connection.</summary>
    /// <param name="exchange">The request.</param>
    /// <param name="attempt">What answered.</param>
    /// <param name="failures">What says so if the answer cannot be begun.</param>
    /// <param name="otherwise">What to answer then; null for an answer that was lost.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public static async ValueTask RelayAsync(Exchange exchange, Attempt attempt, Failures failures, Proto.Problems.Problem? otherwise = null)
    {
        var connection = attempt.Connection!;
        exchange.Attach(connection);
        exchange.AnswerFromPeer = attempt.Pool is null;
        exchange.Rewriting = attempt.Rewriting;
        var failure = await connection.RelayAsync(exchange);
        attempt.Release(exchange);
        if (failure is CallFailure.None or CallFailure.ClientGone) return;

        // Part of the answer is out: the client must see that it is incomplete.
        if (exchange.AnswerStarted) exchange.Fail(Problems.Cut(connection.Detail));
        else await exchange.RespondAsync((otherwise ?? failures.Lost(exchange.Origin.Service)) with { Detail = connection.Detail });
    }
}
