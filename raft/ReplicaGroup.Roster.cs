using System.Collections.Immutable;
using System.Text;
using Cheops.Raft.Consensus;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// Which data count as the members'. A change of the roster is an entry of the log. From its append until it is known as
/// committed the member that it changes counts for nothing, neither with its old data nor with its new ones; so a majority
/// of the others holds the change, and every entry committed before it, when the new data begin to count.
/// </summary>
internal sealed partial class ReplicaGroup
{
    private ImmutableArray<string> _others;
    private int _isChanging;
    private bool _isAlone;

    /// <summary>Whether this site's data are the ones that belong to the group.</summary>
    public bool BelongsHere => Record.IncarnationOf(_site.Name) == _site.Post.Incarnation;

    /// <summary>
    /// Whether this site votes: it has met every other member, each of which told it of the groups that they share. Once it
    /// was let in, it votes only for members that hold what let it in: who is of an earlier generation is not heard.
    /// </summary>
    public bool MayVote => _others.All(_site.Met.ContainsKey);

    // Whoever campaigns in a generation holds the entry with which that began.
    private bool MayCampaign => _isAlone || (MayVote && HoldsGeneration(Record));

    private bool HoldsGeneration(FoundingRecord record) =>
        record.Index <= _log.CommitIndex || _log.RosterAfter(record.Index - 1)?.Generation == record.Generation;

    /// <summary>Takes over a record that is newer than its own, and durable.</summary>
    public void Adopt(FoundingRecord record)
    {
        var before = Record;
        _others = [.. record.Voters.Where(v => !IsHere(v))];
        Volatile.Write(ref _record, record);
        if (record.Since != before.Since) _applier.Forgot(record.Index);
        if (Volatile.Read(ref _node) is { } node && !before.Voters.SequenceEqual(record.Voters)) _ = Task.Run(() => RestartAsync(node));
    }

    /// <summary>A member came, went, or has other data.</summary>
    public void OnPeerChanged(string site)
    {
        if (IsReachable(site))
        {
            if (IsStranger(site)) _ = LetInAsync();
        }
        else if (Volatile.Read(ref _node) is { Leader: { } leader } node && !IsWitness && string.Equals(leader.Site, site, StringComparison.Ordinal))
        {
            _ = ReplaceLeaderAsync(node, leader);
        }
    }

    /// <summary>By decision of a person, a member counts no longer.</summary>
    /// <exception cref="GroupException">There is no majority without it.</exception>
    public async ValueTask RemoveAsync(string site, CancellationToken cancellation)
    {
        var others = _others.Count(o => IsReachable(o) && !string.Equals(o, site, StringComparison.Ordinal));
        if (_others.Length > 1 && others + 1 < ((_others.Length + 1) / 2) + 1)
            throw new GroupException(GroupError.NoMajority, $"group {Id} has no majority without {site}");
        await WithinBoundAsync(
            async deadline =>
            {
                if (Record.Voters.Contains(site)) await RemoveOnceAsync(site, deadline, cancellation);
                // Another change may have come before it, and then it was none.
                return Record.Voters.Contains(site) ? 0 : 1;
            },
            cancellation);
    }

    private async ValueTask RemoveOnceAsync(string site, Deadline deadline, CancellationToken cancellation)
    {
        if (_others.Length == 1)
        {
            await ChangeAloneAsync(site, default, cancellation);
            return;
        }

        var node = await WakeAsync(campaigns: true, cancellation);
        if (await LeadingTermAsync(node, cancellation) is not null) await ChangeAsync(node, site, default, cancellation);
        else if (node.Leader is { IsRemote: true } leader) await AskToRemoveAsync(leader.Site, site, deadline, cancellation);
        else await WaitForLeaderAsync(node, cancellation);
    }

    private bool Counts(string site, Incarnation incarnation) =>
        Record.IncarnationOf(site) == incarnation
        && (_log.RosterAfter(_applier.Index) is not { } pending || pending.IncarnationOf(site) == incarnation);

    private bool IsStranger(string site) =>
        _site.IncarnationOf(site) is { IsUnknown: false } now && Record.IncarnationOf(site) is { } belongs && now != belongs;

    private bool HasStrangers() => _others.Any(IsStranger);

    // Until it has met all, a site's acknowledgements are no better than its votes: except where the others have let it in.
    private bool MustMeetFirst(GroupFrameKind kind) => kind switch
    {
        GroupFrameKind.PreVote or GroupFrameKind.Vote => !MayVote,
        GroupFrameKind.Append or GroupFrameKind.Snapshot => Record.Generation == 1 && !MayVote,
        _ => false,
    };

    private string ReasonNotToBelong() => Record.HasRemoved(_site.Name)
        ? $"{_site.Name} was removed from group {Id}"
        : $"{_site.Name} has lost the data that belong to group {Id}, and the others have not let it in again yet";

    // Some member has other data than it had: the leader lets them in.
    private async Task LetInAsync()
    {
        if (!BelongsHere || Interlocked.Exchange(ref _isChanging, 1) != 0) return;
        try
        {
            for (var deadline = new Deadline(_site.Time, _site.Options.ProposeTimeMax); HasStrangers() && !deadline.IsPast;)
            {
                var stranger = _others.First(IsStranger);
                var incarnation = _site.IncarnationOf(stranger);
                if (Record.Voters.Length == 2) await ChangeAloneAsync(stranger, incarnation, _site.Closing);
                else if (await LetInAsLeaderAsync(stranger, incarnation) is false) break;
            }
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException or Store.Log.OperationLogException or ObjectDisposedException)
        {
            // Whoever leads sees the stranger again.
        }
        finally
        {
            Volatile.Write(ref _isChanging, 0);
        }
    }

    // Whether there is anything left to do here: not when another site leads.
    private async ValueTask<bool> LetInAsLeaderAsync(string stranger, Incarnation incarnation)
    {
        var node = await WakeAsync(campaigns: !IsWitness, _site.Closing);
        if (await LeadingTermAsync(node, _site.Closing) is not null)
        {
            await ChangeAsync(node, stranger, incarnation, _site.Closing);
            return true;
        }

        if (node.Leader is { IsRemote: true }) return false;
        await WaitForLeaderAsync(node, _site.Closing);
        return true;
    }

    // 1 when the change is applied here, 0 when it has to be tried again.
    private async ValueTask<long> ChangeAsync(RaftNode node, string site, Incarnation incarnation, CancellationToken cancellation)
    {
        if (await LeadingTermAsync(node, cancellation) is not { } term) return await PauseAsync(cancellation);
        // One change after the other: each is made of the one before.
        await _applier.WaitAsync(_log.CommitIndex).WaitAsync(_site.Options.ProposeTimeMax, _site.Time, cancellation);
        if (_log.RosterAfter(_applier.Index) is not null) return await PauseAsync(cancellation);
        if ((Record.IncarnationOf(site) ?? default) == incarnation) return 1;
        var next = Record.Next(site, incarnation);
        var index = await _log.TryAppendAsync(term, EntryKind.Roster, next.ToBytes(), cancellation: cancellation);
        if (index == 0) return 0;
        _pumpSignal?.Writer.TryWrite(0);
        return await AppliedAsync(index, term, new Deadline(_site.Time, _site.Options.ProposeTimeMax), cancellation) > 0 ? 1 : 0;
    }

    // Of two voters the one that is left holds all that was ever committed, and is all that is left to agree.
    private async ValueTask<long> ChangeAloneAsync(string site, Incarnation incarnation, CancellationToken cancellation)
    {
        await StopAsync();
        Volatile.Write(ref _isAlone, true);
        try
        {
            return await ChangeAsync(await WakeAsync(campaigns: true, cancellation), site, incarnation, cancellation);
        }
        finally
        {
            Volatile.Write(ref _isAlone, false);
            await StopAsync();
            // The other one lacks everything.
            _owes = !incarnation.IsUnknown;
            if (_owes) _ = WakeAsync(campaigns: true, _site.Closing).AsTask().ContinueWith(static _ => { }, TaskScheduler.Default);
        }
    }

    private async ValueTask AskToRemoveAsync(string leader, string site, Deadline deadline, CancellationToken cancellation)
    {
        try
        {
            var question = new GroupFrame { Kind = GroupFrameKind.Remove };
            var answer = await AskAsync(leader, question, Encoding.ASCII.GetBytes(site), deadline.Left, cancellation);
            if (answer.A == 0) await PauseAsync(cancellation);
            else await _applier.WaitAsync(answer.B).WaitAsync(deadline.Left, _site.Time, cancellation);
        }
        catch (Exception e) when ((e is IOException or TimeoutException) && e is not GroupException)
        {
            await PauseAsync(cancellation);
        }
    }

    private async ValueTask AnswerRemoveAsync(string from, GroupMessage question)
    {
        var site = Encoding.ASCII.GetString(question.Body.Span);
        var node = await WakeAsync(campaigns: false, _site.Closing);
        if (Record.Voters.Contains(site)) await ChangeAsync(node, site, default, _site.Closing);
        await ReplyAsync(from, question.Frame, Record.Voters.Contains(site) ? 0 : 1, _applier.Index);
    }

    // Applied: the change is committed, and counts from here on.
    private async ValueTask OnRosterChangedAsync(long index, FoundingRecord record)
    {
        if (record.Generation <= Record.Generation) return;
        var next = record with { Index = index, Since = Record.Since, IsOpen = true };
        await _log.RecordFoundingAsync(next);
        var changed = Record.Voters.FirstOrDefault(v => Record.IncarnationOf(v) != next.IncarnationOf(v));
        Adopt(next);
        if (changed is not null && next.Voters.Contains(changed)) StrangerMet?.Invoke(this, changed);
    }

    private async Task RestartAsync(RaftNode node)
    {
        var campaigns = node.IsLeader;
        await StopAsync(node);
        try
        {
            if (campaigns && !_site.IsClosing) await WakeAsync(campaigns: true, _site.Closing);
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException)
        {
            // Whoever needs the group next wakes it.
        }
    }

    /// <summary>Another member was met: perhaps this site votes from now on.</summary>
    public async Task OnMetAsync()
    {
        try
        {
            if (Volatile.Read(ref _node) is { } node) await RejoinAsync(node);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The group is asleep, or the host closes.
        }
    }

    // A node that was started before this site might vote takes part as soon as it may.
    private async ValueTask RejoinAsync(RaftNode node)
    {
        if (node.IsStandby && node.Standby && MayCampaign)
        {
            await node.RevertToNormalModeAsync(_site.Closing);
            if (node.Leader is null && Volatile.Read(ref _proposing) > 0) await node.CampaignAsync(_site.Closing);
        }

        if (node.IsLeader && HasStrangers()) _ = LetInAsync();
    }
}
