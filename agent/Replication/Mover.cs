using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Agent.Mesh;
using Cheops.Agent.Replication.State;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft;

namespace Cheops.Agent.Replication;

/// <summary>What moves need.</summary>
internal sealed record MoverParts
{
    public required string Site { get; init; }

    public required Func<IEnumerable<GroupRunner>> Groups { get; init; }

    public required Func<GroupId, GroupRunner?> Find { get; init; }

    /// <summary>The group of a set of sites with this one among them; founded when there is none.</summary>
    public required Func<ImmutableArray<string>, CancellationToken, Task<GroupRunner>> FoundAsync { get; init; }

    /// <summary>Has a set of sites without this one found its group.</summary>
    /// <remarks>Throws a <see cref="GroupException"/> when none of them could.</remarks>
    public required Func<ImmutableArray<string>, CancellationToken, Task> HaveFoundedAsync { get; init; }

    public required Replicants Replicants { get; init; }

    public required Contents Contents { get; init; }

    public required Copying Copying { get; init; }

    public required Func<ImmutableArray<SiteStatus>> Sites { get; init; }

    public required TimeProvider Time { get; init; }

    public required Chance Chance { get; init; }

    public required Action<string> Warn { get; init; }

    public required CancellationToken Closing { get; init; }
}

/// <summary>Why a replicant is not moved, or not yet.</summary>
/// <param name="status">As a status code.</param>
/// <param name="detail">What is the matter, and what to do; for a person.</param>
internal sealed class MoveException(int status, string detail) : IOException(detail)
{
    /// <summary>As a status code.</summary>
    public int Status { get; } = status;
}

/// <summary>
/// Moves replicants to other sets of sites: 1. closes one in the group before; 2. opens it in the group after, with what
/// makes it at the new site; 3. tells the first group that it is over. Whoever asks does all three; what stops half-way
/// another site of both groups completes.
/// </summary>
internal sealed class Mover(MoverParts parts)
{
    private readonly ConcurrentDictionary<OperationId, Task> _completing = new();
    private readonly ConcurrentDictionary<OperationId, long> _seen = new();
    private readonly ConcurrentDictionary<OperationId, string> _reasons = new();

    /// <summary>What keeps a move from going on here; empty when nothing does.</summary>
    public string ReasonOf(OperationId move) => _reasons.GetValueOrDefault(move, "");

    /// <summary>What keeps a move from going on, as far as this site knows; empty when nothing does.</summary>
    public string ReasonOf(GroupRunner from, MoveState move) =>
        ReasonOf(move.Id) is { Length: > 0 } reason ? reason
        : IsMine(from, move) ? ""
        : CompleterOf(from, move) is { } completer ? $"{completer} completes it, and tells what it waits for"
        : $"none of the sites that can complete it ({string.Join(", ", move.Staying)}) is reached";

    // ---- 1 ------------------------------------------------------------------------------------------------------------

    /// <summary>Moves a replicant; completes when it is moved.</summary>
    /// <param name="record">The replicant.</param>
    /// <param name="to">Its sites from now on, in ordinal order, one more or one less than now.</param>
    /// <param name="deletesReplica">Whether the site that is removed deletes its replica.</param>
    /// <param name="cancellation">Ends the waiting; a move that was begun goes on.</param>
    /// <exception cref="MoveException">It is not moved.</exception>
    /// <exception cref="GroupException">The group cannot agree, or not be founded.</exception>
    public async Task MoveAsync(ReplicantRecord record, ImmutableArray<string> to, bool deletesReplica, CancellationToken cancellation)
    {
        var from = parts.Find(record.Group) ?? throw new MoveException(503, $"the group of {record.Key} is not known here yet; try again");
        if (from.Look(state => state.MoveOf(record.Key)) is { } underWay)
        {
            if (!underWay.To.SequenceEqual(to)) throw Other(underWay.To);
            await WaitAsync(from, underWay, cancellation);
            return;
        }

        CheckDoubt(from, record.Key);
        foreach (var added in to.Where(site => !from.Founding.Sites.Contains(site))) await DoneAsync(record.Key, added, cancellation);

        // Founded before anything is closed: a group that cannot be founded now keeps nobody waiting, and of one that is founded a
        // site can be removed that is lost later.
        if (to.Contains(parts.Site)) await parts.FoundAsync(to, cancellation);
        else await parts.HaveFoundedAsync(to, cancellation);
        var closing = new ClosingEntry(MoveOf(record, deletesReplica), to, deletesReplica);
        await from.ProposeAsync(closing, cancellation);

        // Of two that ask for the same, a second time after a crash too, the one that came first counts for both.
        var (begun, last) = from.Look(state => (state.MoveOf(record.Key), state.LastMarkOf(record.Key)));
        var first = begun?.To ?? (last is { Kind: MoveMarkKind.Closed } ? last.OtherSites : []);
        if (!first.SequenceEqual(to)) throw Other(first);
        if (begun is not null) await WaitAsync(from, begun, cancellation);
    }

    private static MoveException Other(ImmutableArray<string> to) => new(
        409, to.IsDefaultOrEmpty ? "it was moved meanwhile; look again" : $"another move of it, to {string.Join(" & ", to)}, came first; wait until it is over and look again");

    private static void CheckDoubt(GroupRunner from, ReplicantKey key)
    {
        if (from.Look(state => state.QueueOf(key).FirstOrDefault(one => one.Steps.Contains(SiteStep.InDoubt))) is { } doubtful)
            throw new MoveException(409, $"operation {doubtful.Id} on it is in doubt: resolve that first, with 'cheops operations retry' or 'skip'");
    }

    // The copy waits at the added site for what is left there of a replica that it had before (GroupState.IsOver). What is known of that here is told
    // before anything is closed: a person may have to resolve it.
    private async Task DoneAsync(ReplicantKey key, string added, CancellationToken cancellation)
    {
        foreach (var runner in parts.Groups().ToArray())
        {
            var isAsked = false;
            while (true)
            {
                var changed = runner.Changed;
                if (runner.Look(state => state.QueueOf(key).FirstOrDefault(one => one.IsOpenAt(added))) is not { } left) break;
                if (!isAsked)
                {
                    // It may be recorded already: a group that is asleep tells a site that was away only when it is asked.
                    isAsked = true;
                    await CatchUpAsync(runner, cancellation);
                    continue;
                }

                if (cancellation.IsCancellationRequested || left.StepAt(added) == SiteStep.InDoubt)
                    throw new MoveException(409, $"{added} had a replica of it before, and has not done yet what was asked of it then (operation {left.Id}): wait until it has, or resolve it with 'cheops operations'");
                await changed.OrCancelled(cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            }
        }
    }

    private static async Task CatchUpAsync(GroupRunner runner, CancellationToken cancellation)
    {
        try
        {
            if (runner.Group is { } open) await open.BarrierAsync(cancellation);
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException)
        {
            // Then what is known here counts.
        }
    }

    private Operation MoveOf(ReplicantRecord record, bool deletesReplica)
    {
        var id = new byte[OperationId.Size];
        parts.Chance(id);
        return new Operation
        {
            Id = OperationId.Read(id),
            Kind = OperationKind.Move,
            Operator = record.Operator,
            Repetition = Repetition.Idempotent,
            Origin = parts.Site,
            Replicant = record.Key,
            Resource = record.Resource,
            Method = deletesReplica ? "DELETE" : "GET",
            Target = Encoding.ASCII.GetString(Replicants.ItemPath(record.Key, record.Key.MetaId)),
            Fields = Encoding.ASCII.GetBytes($"Host: {record.Key.Service}\r\n"),
            User = record.User,
            UserGroups = record.UserGroups,
            AtUnixMs = parts.Time.GetUtcNow().ToUnixTimeMilliseconds(),
        };
    }

    private async Task WaitAsync(GroupRunner from, MoveState move, CancellationToken cancellation)
    {
        while (true)
        {
            var changed = from.Changed;
            if (from.Look(state => state.MoveOf(move.Key)?.Id != move.Id)) break;
            if (!IsMine(from, move)) await changed.OrCancelled(cancellation);
            else if (!await TryCompleteAsync(from, move).WaitAsync(cancellation)) await Task.Delay(TimeSpan.FromMilliseconds(Bounds.FollowPauseMinMs), parts.Time, cancellation);
        }

        if (from.Look(state => state.LastMarkOf(move.Key)) is { Kind: MoveMarkKind.Returned } anew && anew.Move == move.Id)
            throw new MoveException(409, $"the move was called off: {ReasonOf(move.Id)}");
    }

    // ---- 2, 3 -----------------------------------------------------------------------------------------------------------

    /// <summary>Goes on with what is not over: called once per heartbeat.</summary>
    public void Tick()
    {
        var open = new HashSet<OperationId>();
        foreach (var runner in parts.Groups())
        {
            runner.ReleaseDrained();
            foreach (var move in runner.Look(state => state.Moving.ToArray()))
            {
                open.Add(move.Id);
                if (IsMine(runner, move)) _ = TryCompleteAsync(runner, move);
            }
        }

        foreach (var over in _seen.Keys.Where(id => !open.Contains(id)))
        {
            _seen.TryRemove(over, out _);
            _reasons.TryRemove(over, out _);
        }
    }

    // One site at a time tries: where it was asked for, else the first that is there and whose replica is what it should be.
    private bool IsMine(GroupRunner from, MoveState move)
    {
        if (!move.Staying.Contains(parts.Site)) return false;
        var seen = _seen.GetOrAdd(move.Id, _ => parts.Time.GetTimestamp());
        return parts.Time.GetElapsedTime(seen) > TimeSpan.FromMilliseconds(Bounds.MoverSilentMaxMs) || CompleterOf(from, move) == parts.Site;
    }

    private string? CompleterOf(GroupRunner from, MoveState move)
    {
        var sites = parts.Sites();
        var able = move.Staying.Where(site => !from.Look(state => state.HasDiverged(move.Key, site))).ToArray();
        return (able.Length == 0 ? [.. move.Staying] : able)
            .OrderBy(site => site == move.Closing.Move.Origin ? 0 : 1)
            .FirstOrDefault(site => site == parts.Site || sites.Any(one => one.Name == site && one.State is SiteState.Up));
    }

    private async Task<bool> TryCompleteAsync(GroupRunner from, MoveState move)
    {
        var mine = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_completing.GetOrAdd(move.Id, mine.Task) is Task<bool> running && running != mine.Task) return await running;
        var isDone = false;
        try
        {
            isDone = await CompleteAsync(from, move);
        }
        catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException)
        {
            if (!parts.Closing.IsCancellationRequested) Note(move, e.Message);
        }
        finally
        {
            _completing.TryRemove(move.Id, out _);
            mine.SetResult(isDone);
        }

        return isDone;
    }

    private void Note(MoveState move, string reason)
    {
        if (ReasonOf(move.Id) == reason) return;
        _reasons[move.Id] = reason;
        parts.Warn($"the move of {move.Key} to {string.Join(" & ", move.To)} waits: {reason}");
    }

    private async Task<bool> CompleteAsync(GroupRunner from, MoveState move)
    {
        if (!from.IsDrained(move.Key, move.Index))
        {
            foreach (var runner in parts.Groups()) runner.ReleaseDrained();
            _reasons[move.Id] = $"{parts.Site} has not done yet what was proposed before";
            return false;
        }

        // 2.
        var to = await parts.FoundAsync(move.To, parts.Closing);
        var settled = to.Look(state => state.SettledOf(move.Key, move.Id));
        if (settled is null)
        {
            using var kept = new NewContents(parts.Contents);
            await to.ProposeAsync(await OpeningAsync(from, move, kept), parts.Closing);
            kept.AreKnown = true;
            settled = to.Look(state => state.SettledOf(move.Key, move.Id)) ?? throw new IOException("the opening entry does not count yet");
        }

        // 3.
        await from.ProposeAsync(new MovedEntry(move.Id, move.Key, settled.Kind == MoveMarkKind.Opened ? settled.Index : 0), parts.Closing);
        if (settled.Kind == MoveMarkKind.Opened) _reasons.TryRemove(move.Id, out _);
        return true;
    }

    private async Task<OpeningEntry> OpeningAsync(GroupRunner from, MoveState move, NewContents kept)
    {
        var to = GroupId.Of(move.To.AsSpan());
        if (parts.Replicants.Find(from.Founding.Id, move.Key) is not { } record) return Off("it was deleted before");
        var isNew = move.To.Any(site => !move.From.Contains(site));
        var (copies, refusal) = isNew ? await parts.Copying.CopyAsync(move.Closing.Move with { Origin = parts.Site }, record, kept, parts.Closing) : new CopyResult([], "");
        if (refusal.Length > 0) return Off(refusal);
        var staying = record.LocalIds.RemoveRange(record.LocalIds.Keys.Where(site => !move.Staying.Contains(site)).ToArray());
        return new OpeningEntry(move.Id, move.Key, from.Founding.Id, move.From, move.Index, record with { Group = to, LocalIds = staying, Moves = record.Moves + 1 }, "", copies)
        {
            Former = from.Look(state => state.FormerAfter(move)),
        };

        OpeningEntry Off(string reason)
        {
            _reasons[move.Id] = reason;
            return new OpeningEntry(move.Id, move.Key, from.Founding.Id, move.From, move.Index, null, reason[..Math.Min(reason.Length, Bounds.AnswerExcerptSizeMax / 3)], []);
        }
    }
}
