using System.Collections.Concurrent;
using System.Collections.Immutable;
using Cheops.Agent.Collaboration;
using Cheops.Agent.Interception;
using Cheops.Agent.Mesh;
using Cheops.Agent.Planning;
using Cheops.Agent.Profiles;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;
using Cheops.Store.Contents;
using Cheops.Store.Table;

namespace Cheops.Agent.Replication;

/// <summary>What replication is made from.</summary>
internal sealed record ReplicatorParts
{
    public required string Site { get; init; }

    public required ProfileSet Profiles { get; init; }

    public required IMesh Mesh { get; init; }

    public required IReplicantTable Table { get; init; }

    public required Journal Journal { get; init; }

    public required Contents Contents { get; init; }

    public required IReplicaService Service { get; init; }

    public required Identity.CredentialSeal Seal { get; init; }

    /// <summary>The keys by which credentials are sealed for sites that are not heard now.</summary>
    public required Identity.SiteKeys SiteKeys { get; init; }

    /// <summary>This site's own credentials for its services.</summary>
    public Identity.IServiceCredentials Credentials { get; init; } = Identity.NoServiceCredentials.Instance;

    /// <summary>Where the time is counted that other sites' agents have to answer.</summary>
    public required Transport.Deadlines Deadlines { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>Where the ids of operations and replicants come from.</summary>
    public required Chance Chance { get; init; }

    /// <summary>Opens the groups that this site is a member of, given what makes their machines.</summary>
    public required Func<Func<GroupFounding, IGroupMachine>, ValueTask<IGroupHost>> OpenHost { get; init; }

    /// <summary>Told what a person should know of.</summary>
    public required Action<string> Warn { get; init; }
}

/// <summary>
/// Replicates: 1. a request is made an operation; 2. it is proposed to the group of its sites, which is founded when there is
/// none; 3. it is decided, here if this site is of the group; 4. the client gets the deciding site's answer, while the
/// other sites follow.
/// </summary>
internal sealed partial class Replicator : IAsyncDisposable
{
    private readonly ReplicatorParts _parts;
    private readonly Failures _failures;
    private readonly OperationCapture _capture;
    private readonly ReplicaRequests _requests;
    private readonly UserCalls _calls;
    private readonly GroupRunnerParts _runnerParts;
    private readonly Dictionary<GroupId, long> _replayFrom;
    private readonly ConcurrentDictionary<GroupId, GroupRunner> _runners = new();
    private readonly ConcurrentDictionary<string, int> _silentTicks = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly SemaphoreSlim _checkpointing = new(1);
    private readonly TaskCompletionSource<IGroupHost> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _ticking = Task.CompletedTask;

    private Replicator(ReplicatorParts parts)
    {
        _parts = parts;
        _failures = new Failures(parts.Site);
        Replicants = new Replicants(parts.Site, parts.Profiles, parts.Table, SitesOf);
        Ids = new IdTranslation(Replicants);
        _capture = new OperationCapture(
            parts.Site, new SealedCredentials(parts.Site, parts.Mesh, parts.Seal, parts.SiteKeys, parts.Warn), Ids, _failures, parts.Time, parts.Chance);
        _requests = new ReplicaRequests(parts.Site, parts.Profiles, parts.Contents, Ids, parts.Chance);
        var lines = new ServiceLines(parts.Time, _closing.Token);
        _calls = new UserCalls(parts.Site, parts.Service, parts.Seal, parts.Credentials, lines);
        _runnerParts = new GroupRunnerParts
        {
            Site = parts.Site,
            Replicants = Replicants,
            Execution = new Execution(parts.Site, _calls, _requests, new Doubt(_calls, _requests), parts.Journal, parts.Time, parts.Warn),
            Journal = parts.Journal,
            Contents = parts.Contents,
            Time = parts.Time,
            Host = _opened.Task,
            EarlierRunOver = Task.Delay(TimeSpan.FromMilliseconds(Bounds.AbandonedTimeMaxMs), parts.Time, _closing.Token),
            Lines = lines,
            Find = Find,
            IsOfMesh = name => parts.Mesh.Sites.Any(one => one.Name == name),
            Checkpoint = CheckpointAsync,
            Closing = _closing.Token,
            Warn = parts.Warn,
        };
        MoveQuestions = new MoveQuestions(parts.Site, parts.Mesh, Find, FoundAsync, Replicants, parts.Deadlines, _closing.Token);
        Mover = new Mover(new MoverParts
        {
            Site = parts.Site,
            Groups = () => Groups,
            Find = Find,
            FoundAsync = FoundAsync,
            HaveFoundedAsync = MoveQuestions.HaveFoundedAsync,
            Replicants = Replicants,
            Contents = parts.Contents,
            Copying = new Copying(parts.Site, parts.Profiles, _calls, Ids),
            Sites = () => parts.Mesh.Sites,
            Time = parts.Time,
            Chance = parts.Chance,
            Warn = parts.Warn,
            Closing = _closing.Token,
        });
        Settling = new Settling(Replicants, Find, parts.Time, _closing.Token);
        _replayFrom = CheckpointMark.Read(parts.Table.Mark);
    }

    /// <summary>The replicants that this site knows.</summary>
    public Replicants Replicants { get; }

    /// <summary>Moves replicants to other sets of sites.</summary>
    public Mover Mover { get; }

    /// <summary>What sites ask each other about replicants that move.</summary>
    public MoveQuestions MoveQuestions { get; }

    /// <summary>What is not known yet after the start.</summary>
    public Settling Settling { get; }

    /// <summary>Translates ids that differ between sites.</summary>
    public IdTranslation Ids { get; }

    /// <summary>The groups that this site is a member of.</summary>
    public IEnumerable<GroupRunner> Groups => Runners.Where(runner => runner.Group is not null);

    // Also those whose groups cannot be used yet; in the same order in each process.
    private IEnumerable<GroupRunner> Runners => _runners.Values.OrderBy(runner => runner.Founding.Id);

    /// <summary>The services that profiles name.</summary>
    public ImmutableArray<string> Services => _parts.Profiles.ServiceNames;

    /// <summary>What is known of the sites.</summary>
    public ImmutableArray<SiteStatus> Sites => _parts.Mesh.Sites;

    private IGroupHost Host => _opened.Task.Result;

    /// <summary>Opens replication: what was committed is applied again, and what was under way goes on.</summary>
    public static async Task<Replicator> OpenAsync(ReplicatorParts parts)
    {
        var replicator = new Replicator(parts);
        replicator._opened.SetResult(await parts.OpenHost(replicator.RunnerOf));
        replicator.Settling.Begin(replicator.Runners);
        replicator._ticking = replicator.TickAsync();
        return replicator;
    }

    private GroupRunner RunnerOf(GroupFounding founding) =>
        _runners.GetOrAdd(founding.Id, (id, of) => new GroupRunner(of, _runnerParts, _replayFrom.GetValueOrDefault(id, 1)), founding);

    private ImmutableArray<string> SitesOf(GroupId id) => _runners.TryGetValue(id, out var runner) ? runner.Founding.Sites : [_parts.Site];

    /// <summary>Finds the runner of a group.</summary>
    public GroupRunner? Find(GroupId id) => _runners.GetValueOrDefault(id);

    // ---- 1 to 4: a request ------------------------------------------------------------------------------------------

    /// <summary>Replicates a change; the answer is the exchange's.</summary>
    /// <param name="routed">The request.</param>
    /// <param name="plan">Which sites, all of them single ones and this one among them.</param>
    /// <param name="sites">The sites, in ordinal order.</param>
    /// <returns>False when the request is not replicated after all, but carried out where it is.</returns>
    public async ValueTask<bool> TryReplicateAsync(Routed routed, AllPlan plan, ImmutableArray<string> sites)
    {
        var (shape, problem) = _capture.ShapeOf(routed, plan.Replicant);
        if (problem is not null)
        {
            await routed.Exchange.RespondAsync(problem);
            return true;
        }

        if (shape!.Kind is null) return false;
        await ReplicateAsync(routed, shape, plan, sites);
        return true;
    }

    private async Task ReplicateAsync(Routed routed, OperationCapture.Shape shape, AllPlan plan, ImmutableArray<string> sites)
    {
        var exchange = routed.Exchange;
        OperationId id = default;
        using var contents = new NewContents(_parts.Contents);
        try
        {
            // 1.
            var captured = await _capture.CaptureAsync(routed, shape, plan, sites, contents);
            if (captured.Operation is not { } operation)
            {
                contents.AreKnown = true;
                await exchange.RespondAsync(captured.Problem!);
                return;
            }

            if (captured.ChangesNothing)
            {
                contents.AreKnown = true;
                await CarryOutHereAsync(routed, operation, plan.Replicant?.Record);
                return;
            }

            id = operation.Id;
            exchange.WatchClient();

            // 2, 3.
            using var bound = new CancellationTokenSource(TimeSpan.FromMilliseconds(Bounds.OperationWaitMaxMs), _parts.Time);
            var runner = await GroupOfAsync(plan.Replicant, sites, bound.Token);
            var (state, answer) = await runner.SubmitAsync(operation, bound.Token);
            while (state.Decision == Decision.Moved)
            {
                (runner, operation) = await FollowAsync(runner, operation, routed, bound.Token);
                id = operation.Id;
                (state, answer) = await runner.SubmitAsync(operation, bound.Token);
            }

            // 4.
            contents.AreKnown = true;
            await AnswerAsync(routed, runner, state, answer);
        }
        catch (HttpRefusalException e)
        {
            await exchange.RespondAsync(_failures.BadBody(routed.Service, e));
        }
        catch (ContentException e)
        {
            await exchange.RespondAsync(_failures.BodyNotContent(routed.Service, e));
        }
        catch (ElsewhereException e)
        {
            var refusal = new PlanRefusal(PlanRefusalKind.OtherSites, e.Message, 409);
            await exchange.RespondAsync(_failures.Refused(routed.Service, refusal, _parts.Mesh.Sites.Select(site => site.Name)));
        }
        catch (GroupException e)
        {
            await exchange.RespondAsync(_failures.NotReplicated(routed.Service, e, id));
        }
        catch (OperationCanceledException)
        {
            await exchange.RespondAsync(_failures.Undecided(routed.Service, id, $"not decided within {Bounds.OperationWaitMaxMs / 1000} s", 504));
        }
        catch (IOException)
        {
            exchange.NoteClientGone();
        }
    }

    // What its body says to change nothing is no operation, and by now the body is here.
    private async Task CarryOutHereAsync(Routed routed, Operation operation, ReplicantRecord? record)
    {
        var task = new ExecutionTask(default, operation, new OperationState(operation, 0, _parts.Site, [_parts.Site]), record, Decides: true, MayBeExecuted: false, () => true, () => true, static _ => { });
        var reply = await _calls.SendAsync(operation, mayRenew: false, caller => _requests.BuildAsync(task, caller, default, _closing.Token), _closing.Token);
        if (reply.Answer is { } answer) await routed.Exchange.RespondAsync(Ids.ToMeta(answer, operation.Replicant, operation.Resource, routed.Profile));
        else await routed.Exchange.RespondAsync(_failures.NotConnected(routed.Service, new IOException(reply.Detail)));
    }

    private async Task<GroupRunner> GroupOfAsync(Replicant? known, ImmutableArray<string> sites, CancellationToken cancellation)
    {
        var id = known?.Record?.Group ?? GroupId.Of(sites.AsSpan());
        if (_runners.TryGetValue(id, out var runner) && runner.Group is not null) return runner;
        if (known?.Record is not null)
            throw new GroupException(GroupError.NotFounded, $"{_parts.Site} has lost what it knew of the group of {known.MetaId}, and no other member has told it yet; try again");
        return await FoundAsync(sites, cancellation);
    }

    private async Task<GroupRunner> FoundAsync(ImmutableArray<string> sites, CancellationToken cancellation)
    {
        if (_runners.TryGetValue(GroupId.Of(sites.AsSpan()), out var runner) && runner.Group is not null) return runner;
        var group = await Host.FoundAsync(sites, await WitnessForAsync(sites, cancellation), cancellation);
        if (sites.Length == 2 && group.Founding.Witness is null) _parts.Warn($"the group of {string.Join(" & ", sites)} has no witness, for good: when it was founded no third site was there, or known to both; nothing is changed at either while the other is not reached");
        return RunnerOf(group.Founding);
    }

    // Two sites alone cannot outvote a partition: the nearest third one votes with them; one that is away, when it is back.
    private async ValueTask<string?> WitnessForAsync(ImmutableArray<string> sites, CancellationToken cancellation) => sites.Length != 2
        ? null
        : await Host.ChooseWitnessAsync(
            sites,
            [
                .. _parts.Mesh.Sites
                    .Where(site => !site.IsSelf && !sites.Contains(site.Name))
                    .OrderBy(site => site.State != SiteState.Up).ThenBy(site => site.RoundTrip ?? TimeSpan.MaxValue).ThenBy(site => site.Name, StringComparer.Ordinal)
                    .Select(site => site.Name),
            ],
            cancellation);

    private async ValueTask AnswerAsync(Routed routed, GroupRunner runner, OperationState state, KeptAnswer? answer)
    {
        var exchange = routed.Exchange;
        var (decision, describe, result, isNowhere) = runner.Look(_ => (state.Decision, state.Describe(), state.AnswerAt(state.Decider), state.IsRefused && state.IsFinished));
        exchange.ResponseEdits.Added.Add("Cheops-Operation"u8, state.Id.ToString());
        exchange.ResponseEdits.Added.Add("Cheops-Replicas"u8, describe);
        exchange.ResponseEdits.Added.Add("Cheops-Plan"u8, string.Join(" & ", state.Sites));
        if (decision is null)
            await exchange.RespondAsync(_failures.Undecided(routed.Service, state.Id, $"it may have been executed at {state.Decider}: {result?.Excerpt}", 502));
        else if (decision == Decision.NotExecuted && isNowhere)
            await exchange.RespondAsync(_failures.NotExecuted(routed.Service, state.Id, result ?? new ServiceResult(0, "", "")));
        else if (answer is not null && (decision == Decision.Accepted || isNowhere))
            await exchange.RespondAsync(Ids.ToMeta(answer, state.Key, state.Resource, routed.Profile));
        else
            await exchange.RespondAsync(_failures.DecidedElsewhere(routed.Service, state.Id, decision.Value, state.Decider, result?.Status ?? 0, isNowhere));
    }

    /// <summary>What <c>Cheops-Replicas</c> says of a read here: how up to date the replica is.</summary>
    public string DescribeRead(Replicant replicant)
    {
        if (replicant.Record is not { } record || Find(record.Group) is not { } runner) return "";
        var (pending, removed) = runner.Look(state => (state.QueueOf(record.Key).ToArray(), state.Removed.Keys.ToArray()));
        var sites = _parts.Mesh.Sites;
        return string.Join("; ", runner.Founding.Sites.Select(site => $"{site}={StateOf(site)}"));

        string StateOf(string site)
        {
            var behind = pending.Count(one => one.IsOpenAt(site));
            if (removed.Contains(site)) return "removed";
            var known = sites.FirstOrDefault(one => one.Name == site);
            if (site != _parts.Site && known is not { State: SiteState.Up or SiteState.Draining }) return "unreachable";
            return behind > 0 ? $"pending({behind})" : record.LocalIds.ContainsKey(site) ? "applied" : "pending";
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CheckpointAsync();
        }
        catch (IOException e)
        {
            _parts.Warn($"replication: {e.Message}; the next start applies the log's entries again");
        }

        _closing.Cancel();
        await _ticking;
        await Host.DisposeAsync();
        await _parts.Table.DisposeAsync();
        _closing.Dispose();
    }
}
