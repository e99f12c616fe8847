using System.Collections.Concurrent;
using System.Collections.Immutable;
using Cheops.Proto;
using Cheops.Proto.Operations;
using Cheops.Raft.Log;
using Cheops.Raft.Protocol;
using Cheops.Store.Log;

namespace Cheops.Raft;

/// <summary>
/// The groups of a site on DotNext's Raft: their records in one operation log, their messages over one transport. A group
/// that nobody uses is asleep, and costs what its log does.
/// </summary>
public sealed partial class GroupHost : IGroupHost
{
    private readonly GroupSite _site;
    private readonly Func<GroupFounding, IGroupMachine> _machines;
    private readonly ConcurrentDictionary<GroupId, ReplicaGroup> _groups = new();
    private readonly ConcurrentDictionary<string, int> _questions = new(StringComparer.Ordinal);
    private readonly ITimer _tick;

    /// <summary>Makes the host of what the log holds, and begins to take messages and to replay.</summary>
    /// <param name="log">The site's operation log; stays open when the host closes.</param>
    /// <param name="recovery">What was found when that was opened.</param>
    /// <param name="transport">Carries messages to other sites' hosts.</param>
    /// <param name="machines">Gives the machine of a group, once for each group at a start.</param>
    /// <param name="retention">What is needed of the log; shared with whoever else writes to it.</param>
    /// <param name="time">The clock of pauses and bounds; Raft's own timers are the system's.</param>
    /// <param name="chance">Numbers the questions of this process differently than those of the one before.</param>
    /// <param name="options">Times; the defaults when null.</param>
    /// <exception cref="InvalidDataException">The log does not hold what a group needs.</exception>
    public GroupHost(
        IOperationLog log, GroupLogRecovery recovery, IGroupTransport transport, Func<GroupFounding, IGroupMachine> machines,
        LogRetention retention, TimeProvider time, Random chance, GroupOptions? options = null)
    {
        _machines = machines;
        _site = new GroupSite
        {
            Name = transport.Site,
            Post = new GroupPost(transport, time, (ulong)chance.NextInt64()) { Asked = OnAsked },
            Transport = transport,
            Log = log,
            Retention = retention,
            Options = options ?? new GroupOptions(),
            Time = time,
        };
        if (recovery.MetPosition is { } metAt) retention.Keep(default, metAt);
        foreach (var (site, incarnation) in recovery.Met) _site.Met[site] = incarnation;
        foreach (var (id, recovered) in recovery.Groups) Recover(id, recovered);
        transport.Handler = _site.Post.Take;
        transport.PeerChanged = OnPeerChanged;
        var pause = _site.Options.IdleTime / 4;
        _tick = time.CreateTimer(_ => Tick(), null, pause, pause);
        foreach (var group in _groups.Values) group.Replay();
        foreach (var site in _groups.Values.SelectMany(g => g.Record.Voters).Distinct().Where(s => !IsHere(s))) _ = MeetAsync(site);
    }

    /// <inheritdoc/>
    public ImmutableArray<IReplicaGroup> Groups => [.. _groups.Values];

    /// <summary>Groups that exchange messages now.</summary>
    public int AwakeCount => _groups.Values.Count(g => g.IsAwake);

    /// <summary>Messages that this host has sent.</summary>
    public long MessagesSent => _site.Post.Sent;

    /// <summary>Messages of other sites that were not understood.</summary>
    public long MessagesDropped => _site.Post.Dropped;

    /// <inheritdoc/>
    public IReplicaGroup? Find(GroupId id) => _groups.GetValueOrDefault(id);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_site.IsClosing) return;
        _site.Close();
        await _tick.DisposeAsync();
        foreach (var group in _groups.Values)
        {
            group.Applier.Abandon();
            await group.StopAsync();
            await RecordCommitAsync(group);
        }

        _site.Post.Dispose();
        _site.Dispose();
    }

    private static async ValueTask RecordCommitAsync(ReplicaGroup group)
    {
        try
        {
            await group.Log.RecordCommitAsync();
        }
        catch (OperationLogException)
        {
            // What is committed is known again when the group is awake.
        }
    }

    private void Recover(GroupId id, RecoveredGroup recovered)
    {
        if (recovered.Founding is not { } record) return;
        _site.Retention.Keep(id, recovered.OldestPosition);
        if (!record.IsOpen)
        {
            _accepted[id] = record;
            return;
        }

        var machine = _machines(record.Founding);
        if (recovered.Restoring is { } restoring && machine.ReplayFrom == restoring.Index + 1)
            GroupLogRecovery.TakeSnapshot(recovered, restoring.Index, restoring.Term);
        recovered.Complete();
        // Where the record was made by an entry that is there, that entry was applied.
        recovered.CommitIndex = Math.Max(recovered.CommitIndex, Math.Min(record.Since == 0 ? record.Index : 0, recovered.Entries.Last));
        Add(new ReplicaGroup(_site, record, recovered, machine));
    }

    private void Add(ReplicaGroup group)
    {
        group.StrangerMet = OnStrangerMet;
        _groups[group.Id] = group;
    }

    private void Tick()
    {
        MeetStrangers();
        ReclaimAtTick();
        foreach (var group in _groups.Values)
        {
            if (group.IsAwake) _ = TickAsync(group);
        }
    }

    private static async Task TickAsync(ReplicaGroup group)
    {
        try
        {
            await group.SleepIfIdleAsync();
            await group.GiveLeadAsync();
        }
        catch (Exception e) when (e is OperationLogException or ObjectDisposedException or OperationCanceledException)
        {
            // At the next tick.
        }
    }

    private void OnPeerChanged(string site)
    {
        foreach (var group in _groups.Values)
        {
            if (group.Record.Voters.Contains(site)) group.OnPeerChanged(site);
        }

        if (_site.Post.IsUp(site)) _ = MeetAsync(site);
        else _site.Post.GiveUp(site);
    }

    // Called by the transport: nothing is done here that takes time.
    private void OnAsked(string from, GroupMessage question)
    {
        if (_site.IsClosing) return;
        if (_questions.AddOrUpdate(from, 1, static (_, n) => n + 1) > Bounds.GroupQuestionsMax)
        {
            _questions.AddOrUpdate(from, 0, static (_, n) => n - 1);
            return;
        }

        ThreadPool.UnsafeQueueUserWorkItem(
            static state => _ = state.Host.AnswerAsync(state.From, state.Question), (Host: this, From: from, Question: question), preferLocal: false);
    }

    private async Task AnswerAsync(string from, GroupMessage question)
    {
        try
        {
            if (question.Frame.Kind == GroupFrameKind.Found) await AnswerFoundAsync(from, question);
            else if (question.Frame.Kind == GroupFrameKind.Compare) await AnswerCompareAsync(from, question);
            else if (question.Frame.Kind == GroupFrameKind.HasMet) await AnswerHasMetAsync(from, question);
            else if (question.Frame.Kind == GroupFrameKind.RemoveSite) await AnswerRemoveSiteAsync(from, question);
            else if (_groups.TryGetValue(question.Frame.Group, out var group)) await group.AnswerAsync(from, question);
            else await RefuseAsync(from, question.Frame, GroupRefusal.UnknownGroup);
        }
#pragma warning disable CA1031 // Nothing that a peer sends may end the process.
        catch (Exception)
#pragma warning restore CA1031
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.Unable);
        }
        finally
        {
            _questions.AddOrUpdate(from, 0, static (_, n) => n - 1);
        }
    }

    private ValueTask RefuseAsync(string to, GroupFrame question, GroupRefusal reason) =>
        _site.Post.AnswerAsync(to, question, new GroupFrame { Kind = GroupFrameKind.Refused, Group = question.Group, A = (long)reason });
}
