using System.Text;
using Cheops.Agent.Interception;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>One operation to be carried out at this site.</summary>
/// <param name="Group">Its group.</param>
/// <param name="Operation">What it carries.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Replicant">The replicant as the table has it; null while it is not made.</param>
/// <param name="Decides">Whether this site decides it.</param>
/// <param name="MayBeExecuted">Whether it may have been executed here before.</param>
/// <param name="IsCaughtUp">Whether all that was accepted before it is done here.</param>
/// <param name="IsToDo">Whether it is still this site's to do: what the group has recorded meanwhile may say that it is done.</param>
/// <param name="Waits">Told why it is tried again later.</param>
internal sealed record ExecutionTask(
    GroupId Group, Operation Operation, OperationState State, ReplicantRecord? Replicant, bool Decides, bool MayBeExecuted, Func<bool> IsCaughtUp, Func<bool> IsToDo,
    Action<string> Waits)
{
    /// <summary>Whether what this site has noted of it is lost: nothing noted then says nothing.</summary>
    public bool IsForgotten { get; init; }

    /// <summary>Sites that may have its body, where that is kept by its content: those of the group that are not removed.</summary>
    public IReadOnlyList<string> Holders { get; init; } = [];
}

/// <summary>
/// Carries one operation out against this site's own service instance, which sees an ordinary request (DESIGN.md
/// section 7, <em>Decide, then follow</em> and <em>Faults at following sites</em>).
/// </summary>
/// <remarks>
/// 1. What may have been executed is resolved by looking, before anything is sent. 2. For what looking cannot tell, a
/// durable mark is made. 3. The request is sent. 4. What the service answers is judged: a deciding site tries once and
/// looks when in doubt; a following site tries until it succeeds, is refused for good, or is in doubt. A refusal that answers a
/// repetition is looked at too. Whoever asks for a try decides when there is another one.
/// </remarks>
internal sealed class Execution(string site, UserCalls calls, ReplicaRequests requests, Doubt doubt, Journal journal, TimeProvider time, Action<string> warn)
{
    /// <summary>Tries once.</summary>
    /// <param name="task">The operation.</param>
    /// <param name="course">How it fared before.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">The service cannot be asked what is in doubt, or the body cannot be had now.</exception>
    /// <exception cref="OperationCanceledException">It is not this site's to do any more.</exception>
    public async Task<Tried> TryAsync(ExecutionTask task, Course course, CancellationToken cancellation)
    {
        try
        {
            return await (task.Decides ? DecideAsync(task, course, cancellation) : FollowAsync(task, course, cancellation));
        }
        catch (ContentLostException e)
        {
            return new Tried(WithoutBody(task, e.Message));
        }
    }

    // Without its body it was never sent, unless this site has lost what it had.
    private Verdict WithoutBody(ExecutionTask task, string reason)
    {
        warn($"operation {task.State.Id} on {task.State.Key} cannot be carried out at {site}: {reason}; 'cheops operations' shows it");
        return NotDone(task.IsForgotten ? VerdictKind.InDoubt : VerdictKind.NotExecuted, 0, reason);
    }

    private async Task<Tried> DecideAsync(ExecutionTask task, Course course, CancellationToken cancellation)
    {
        if (course.MayBeExecuted && await ResolveAsync(task, cancellation) is { } resolved) return new(resolved);
        var repeats = course.MayBeExecuted && task.Operation.Repetition == Repetition.Idempotent;
        var isCaughtUp = task.IsCaughtUp();
        var reply = await SendAsync(task, cancellation);
        switch (reply.Kind)
        {
            case ReplyKind.NotReached when task.State.IsTakenOver:
                return Tried.AgainLater;
            case ReplyKind.NotReached when !repeats:
                return new(NotDone(VerdictKind.NotExecuted, 503, reply.Detail));
            case ReplyKind.Answered when IsDone(reply.Answer!, task.Operation.Kind, repeated: course.MayBeExecuted):
                return new(await DoneAsync(task, reply.Answer!.Status < 400 ? reply.Answer : Done(task)));
            case ReplyKind.Answered when reply.Answer!.Status < 500 && !isCaughtUp:
                course.MayBeExecuted = repeats;
                return Tried.AgainCaughtUp;
            case ReplyKind.Answered when reply.Answer!.Status < 500 && !repeats:
                return new(await TakenByOursAsync(task, reply.Answer, task.MayBeExecuted, cancellation) ?? Refused(reply.Answer));
        }

        // What is as good as once is simply done again, for as long as a client may wait. Who decides in another's place, which
        // may have carried it out, goes on until it is done here too, or refused for good.
        var verdict = await LookedAtAsync(task, reply, cancellation);
        var isWaitedFor = time.GetElapsedTime(course.Started) < TimeSpan.FromMilliseconds(Bounds.OperationWaitMaxMs);
        var goesOn = verdict.Kind == VerdictKind.InDoubt
            ? task.Operation.Repetition == Repetition.Idempotent && (isWaitedFor || (task.State.IsTakenOver && reply.Answer is not { Status: < 500 }))
            : verdict.Kind != VerdictKind.Done && task.State.IsTakenOver && reply.Answer is not { Status: < 500 };
        if (!goesOn) return new(verdict);
        course.MayBeExecuted = true;
        return Tried.AgainLater;
    }

    private async Task<Tried> FollowAsync(ExecutionTask task, Course course, CancellationToken cancellation)
    {
        if (course.MayBeExecuted && await ResolveAsync(task, cancellation) is { } resolved) return new(resolved);
        var isCaughtUp = task.IsCaughtUp();
        var reply = await SendAsync(task, cancellation);
        if (reply.Kind == ReplyKind.Answered && IsDone(reply.Answer!, task.Operation.Kind, repeated: true)) return new(await DoneAsync(task, reply.Answer!.Status < 400 ? reply.Answer : Done(task)));
        var isRefused = reply.Kind == ReplyKind.Answered && IsRefusal(reply.Answer!.Status);
        if (isRefused && isCaughtUp && await RefusedHereAsync(task, course, reply, cancellation) is { } verdict) return new(verdict);

        task.Waits(Describe(reply));
        if (isRefused && !isCaughtUp) return Tried.AgainCaughtUp;
        if (!isRefused) course.NotRefused();
        if (course.IsToBeTold()) warn($"operation {task.State.Id} on {task.State.Key} waits at {site}: {Describe(reply)}; it is tried again");
        if (reply.Kind == ReplyKind.Lost || (reply.Answer is { Status: >= 500 and not 503 })) course.MayBeExecuted = true;
        return Tried.AgainLater;
    }

    /// <summary>What comes of an operation that had no turn at its service while its client waited: it was not sent.</summary>
    public static Verdict NoTurn(OperationState state) => NotDone(
        VerdictKind.NotExecuted, 503, $"{state.Key.Service} at {state.Decider} has {Bounds.OperationsUnderWayMax} operations under way, and none was over within {Bounds.OperationTurnMaxMs / 1000} s");

    /// <summary>
    /// What may have been carried out here of an operation that another site, which decided in the place of this one, had refused;
    /// null when surely nothing was.
    /// </summary>
    /// <param name="task">The operation.</param>
    /// <param name="verdict">What came of carrying it out; null when that is not known.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="IOException">The service cannot be asked: it is asked again later.</exception>
    public async Task<ServiceResult?> FindExecutedAsync(ExecutionTask task, Verdict? verdict, CancellationToken cancellation)
    {
        if (verdict is null or { Kind: VerdictKind.InDoubt })
            verdict = task.Operation.Repetition == Repetition.Idempotent ? await ResolveIdempotentAsync(task, cancellation) : await ResolveAsync(task, cancellation);
        return verdict is { Kind: VerdictKind.Done or VerdictKind.InDoubt }
            ? verdict.Result with { Excerpt = Bounded($"it may have been carried out here before {task.State.Decider}, which decided in the place of {site}, had it refused") }
            : null;
    }

    private async Task<Verdict?> ResolveIdempotentAsync(ExecutionTask task, CancellationToken cancellation)
    {
        // What was not there where it was decided, and is not here, is the same at both.
        var wasGone = task.Operation.Kind == OperationKind.Delete && task.State.AnswerAt(task.State.Decider) is { Status: 404 or 410 };
        return wasGone || (await doubt.LookAsync(task, cancellation)).Executed == false ? null : NotDone(VerdictKind.InDoubt, 0, "");
    }

    /// <summary>A meta-id for a replicant that has none yet, and this id at a site.</summary>
    public string MetaIdFor(OperationState create, string localId) => requests.MetaIdFor(create, localId);

    private static string Describe(ServiceReply reply) => reply.Answer is not { } answer ? reply.Detail
        : reply.Detail.Length > 0 ? $"the service answered {answer.Status}; {reply.Detail}"
        : $"the service answered {answer.Status}";

    // Definite: the application looked at the request and does not want it.
    private static bool IsRefusal(int status) => status is >= 400 and < 500 and not (401 or 408 or 425 or 429);

    // The deciding site's acceptance is the proof that the user may and that the thing is there: a service that says
    // otherwise may only just have started, and not know its users and kinds yet. What was to be replaced may have changed
    // since it was looked at.
    private bool MayPass(int status, Operation operation) => status is 403 or 404 || (status is 409 or 412 && requests.Replaces(operation));

    // Answered before the application looked at the request.
    private static bool IsTooEarly(int status) => status is 401 or 425 or 429 or 503;

    private static bool IsDone(KeptAnswer answer, OperationKind kind, bool repeated) =>
        answer.Status is >= 200 and < 400 || (repeated && kind == OperationKind.Delete && answer.Status is 404 or 410);

    // ---- 1: what may have been executed ------------------------------------------------------------------------------

    private async Task<Verdict?> ResolveAsync(ExecutionTask task, CancellationToken cancellation)
    {
        switch (task.Operation.Repetition)
        {
            case Repetition.Idempotent:
                return null;
            case Repetition.Lookup:
                var found = await doubt.FindCreatedAsync(task, cancellation);
                return found.Executed switch
                {
                    true => await DoneAsync(task, found.Seen!, found.LocalId),
                    false => null,
                    null => NotDone(VerdictKind.InDoubt, 0, "it may have been executed, and looking for what it made does not tell"),
                };
            default:
                return journal.Find(task.Operation.Id) switch
                {
                    null when task.IsForgotten => NotDone(VerdictKind.InDoubt, 0, "this site has lost its data since, and looking does not tell whether it was executed"),
                    null => null,
                    { } noted when IsTooEarly(noted.Status) => null,
                    { Status: 0 } => NotDone(VerdictKind.InDoubt, 0, "it was being sent when the agent ended, and looking does not tell whether it was executed"),
                    { Status: >= 200 and < 400 } noted => Done(task, noted.Status, noted.LocalId, null),
                    { } noted => NotDone(IsRefusal(noted.Status) ? VerdictKind.Refused : VerdictKind.InDoubt, noted.Status, $"the service had answered {noted.Status}"),
                };
        }
    }

    // ---- 2, 3: sending ------------------------------------------------------------------------------------------------

    private async Task<ServiceReply> SendAsync(ExecutionTask task, CancellationToken cancellation)
    {
        var operation = task.Operation;
        ReadOnlyMemory<byte> replica = default;
        if (!task.Decides && requests.Replaces(operation))
        {
            // Nothing was sent yet: when the replica cannot be seen, it is tried again.
            var seen = await doubt.SeeAsync(operation, cancellation);
            if (seen.Answer is not { Status: 200 or 404 }) return new ServiceReply(ReplyKind.NotReached, null, $"what is to be replaced cannot be read: {Describe(seen)}");
            if (seen.Answer.Status == 200) replica = seen.Answer.Body;
        }

        if (operation.Repetition == Repetition.Marked) await journal.SendingAsync(task.Group, task.State.Index, operation.Id);
        var reply = await calls.SendAsync(operation, mayRenew: !task.Decides, caller => BuildAsync(task, caller, replica, cancellation), cancellation);
        if (operation.Repetition != Repetition.Marked) return reply;
        if (reply.Kind == ReplyKind.NotReached) journal.Forget(operation.Id);
        else if (reply.Answer is { } answer) await journal.AnsweredAsync(operation.Id, answer.Status, requests.LocalIdIn(operation, answer));
        return reply;
    }

    // The last look at what the group has recorded meanwhile.
    private async Task<(ServiceSend Send, IAsyncDisposable? Body)> BuildAsync(ExecutionTask task, Caller caller, ReadOnlyMemory<byte> replica, CancellationToken cancellation)
    {
        try
        {
            var built = await requests.BuildAsync(task, caller, replica, cancellation);
            if (task.IsToDo()) return built;
            if (built.Body is not null) await built.Body.DisposeAsync();
            throw new OperationCanceledException();
        }
        catch (Exception)
        {
            // Nothing was sent, be it that its body cannot be had now.
            journal.Forget(task.Operation.Id);
            throw;
        }
    }

    // ---- 4: judging -----------------------------------------------------------------------------------------------------

    private async Task<Verdict> LookedAtAsync(ExecutionTask task, ServiceReply reply, CancellationToken cancellation)
    {
        var looked = await doubt.LookAsync(task, cancellation);
        return looked.Executed switch
        {
            true => await DoneAsync(task, looked.Seen ?? Done(task), looked.LocalId),
            false when reply.Answer is { } answer => Refused(answer),
            false => NotDone(VerdictKind.NotExecuted, 502, reply.Detail),
            null => new Verdict(VerdictKind.InDoubt, new ServiceResult(reply.Answer?.Status ?? 0, "", Excerpt(reply.Answer)), "", reply.Answer, Describe(reply)),
        };
    }

    // Our own request of an earlier attempt, carried out after it was looked for, may be what the name is taken by.
    private async Task<Verdict?> TakenByOursAsync(ExecutionTask task, KeptAnswer answer, bool again, CancellationToken cancellation) =>
        again && task.Operation.Repetition == Repetition.Lookup && answer.Status == 409
            && await doubt.FindCreatedAsync(task, cancellation) is { Executed: true } found
                ? await DoneAsync(task, found.Seen!, found.LocalId)
                : null;

    // What answers a repetition does not tell that the operation was refused: the first may have been carried out, and services take
    // some things once only. Null while it may pass, as what was sent first may still be under way.
    private async Task<Verdict?> RefusedHereAsync(ExecutionTask task, Course course, ServiceReply reply, CancellationToken cancellation)
    {
        var answer = reply.Answer!;
        var isRepeated = course.MayBeExecuted && task.Operation.Repetition == Repetition.Idempotent;
        var isOver = time.GetElapsedTime(course.Refused(time.GetTimestamp())) > TimeSpan.FromMilliseconds(Bounds.FollowRefusedMs);
        var mayPass = !isOver && MayPass(answer.Status, task.Operation);
        if (mayPass && !isRepeated) return null;
        var verdict = isRepeated ? await LookedAtAsync(task, reply, cancellation) : await TakenByOursAsync(task, answer, course.MayBeExecuted, cancellation) ?? Refused(answer);
        if (verdict.Kind == VerdictKind.Done) return verdict;
        if (mayPass || (verdict.Kind == VerdictKind.InDoubt && !isOver)) return null;
        var what = verdict.Kind == VerdictKind.InDoubt ? "is in doubt: it may have been executed before" : "has failed";
        warn($"operation {task.State.Id} on {task.State.Key} at {site} {what}; the service answered {answer.Status}; 'cheops operations' shows it");
        return verdict;
    }

    private ValueTask<Verdict> DoneAsync(ExecutionTask task, KeptAnswer answer, string found = "") =>
        new(Done(task, answer.Status, found.Length > 0 ? found : requests.LocalIdIn(task.Operation, answer), answer));

    private Verdict Done(ExecutionTask task, int status, string found, KeptAnswer? answer)
    {
        var (localId, metaId) = requests.IdsOf(task, found);
        return new Verdict(VerdictKind.Done, new ServiceResult(status, localId, ""), metaId, answer, "");
    }

    // What a client is told of what was done, and whose own answer was lost.
    private static KeptAnswer Done(ExecutionTask task) => new(task.Operation.Kind == OperationKind.Delete ? 204 : 200, default, default);

    private static Verdict Refused(KeptAnswer answer) =>
        new(VerdictKind.Refused, new ServiceResult(answer.Status, "", Excerpt(answer)), "", answer, "");

    private static Verdict NotDone(VerdictKind kind, int status, string detail) =>
        new(kind, new ServiceResult(status, "", Bounded(detail)), "", null, detail);

    private static string Excerpt(KeptAnswer? answer)
    {
        if (answer is null) return "";
        var text = Encoding.UTF8.GetString(answer.Body.Span[..Math.Min(answer.Body.Length, Bounds.AnswerExcerptSizeMax / 2)]);
        return Bounded(text);
    }

    // Characters that are no whole UTF-8 become three bytes each.
    private static string Bounded(string text) => text.Length <= Bounds.AnswerExcerptSizeMax / 3 ? text : text[..(Bounds.AnswerExcerptSizeMax / 3)];
}
