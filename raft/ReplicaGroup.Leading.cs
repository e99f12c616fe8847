using System.Text;
using Cheops.Raft.Consensus;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    // What a grant is asked for.
    private const long GrantLeaderLost = 0;
    private const long GrantHandOver = 1;
    private const long GrantCampaign = 2;

    private long _grantedAt;
    private int _isReplacing;

    /// <inheritdoc/>
    public async ValueTask LeadAsync(string site, CancellationToken cancellation = default)
    {
        if (!Founding.Sites.Contains(site)) throw new GroupException(GroupError.NotMember, $"{site} is none of the sites of group {Id}");
        await WithinBoundAsync(
            async _ =>
            {
                var node = await WakeAsync(campaigns: IsHere(site), cancellation);
                if (await LeadingTermAsync(node, cancellation) is not null) return await LeadFromHereAsync(node, site, cancellation) ? 1 : 0;
                if (node.Leader is not { IsRemote: true } leader) return await WaitForLeaderAsync(node, cancellation);
                return await AskForHandOverAsync(leader.Site, site, cancellation) ? 1 : await PauseAsync(cancellation);
            },
            cancellation);
    }

    private async ValueTask<bool> AskForHandOverAsync(string leader, string site, CancellationToken cancellation)
    {
        try
        {
            var question = new GroupFrame { Kind = GroupFrameKind.Lead };
            var answer = await AskAsync(leader, question, Encoding.ASCII.GetBytes(site), _site.Options.ElectionTimeMin * 2, cancellation);
            return answer.A == 1;
        }
        catch (Exception e) when (e is IOException or TimeoutException)
        {
            return false;
        }
    }

    private async ValueTask AnswerLeadAsync(string from, GroupMessage question)
    {
        var site = Encoding.ASCII.GetString(question.Body.Span);
        var isDone = Founding.Sites.Contains(site) && Volatile.Read(ref _node) is { } node
            && await LeadingTermAsync(node, _site.Closing) is not null
            && await LeadFromHereAsync(node, site, _site.Closing);
        await ReplyAsync(from, question.Frame, isDone ? 1 : 0);
    }

    // A person has asked; this site leads.
    private async ValueTask<bool> LeadFromHereAsync(RaftNode node, string site, CancellationToken cancellation)
    {
        if (!IsHere(site)) return await HandOverAsync(node, site, isAsked: true, cancellation);
        _choice.Asked(Now);
        return true;
    }

    // The target has to have what this site has; the others, and this site, have to vote although they heard of a leader.
    private async ValueTask<bool> HandOverAsync(RaftNode node, string site, bool isAsked, CancellationToken cancellation)
    {
        if (!IsReachable(site)) return false;
        await node.ForceReplicationAsync(cancellation);
        await Task.WhenAll(_others.Where(v => !string.Equals(v, site, StringComparison.Ordinal)).Select(v => GrantsAsync(v, GrantHandOver)));
        if (!await node.ResignAsync(cancellation)) return false;
        var granting = node.GrantAsync(GrantTime, _site.Closing);
        if (!await GrantsAsync(site, GrantCampaign, isAsked)) return false;
        for (var deadline = new Deadline(_site.Time, GrantTime); !deadline.IsPast; await PauseAsync(cancellation))
        {
            if (node.Leader is { } leader && string.Equals(leader.Site, site, StringComparison.Ordinal)) return true;
        }

        await granting;
        return false;
    }

    private async Task<bool> GrantsAsync(string site, long reason, bool isAsked = false)
    {
        try
        {
            var question = new GroupFrame { Kind = GroupFrameKind.Grant, A = reason, B = isAsked ? 1 : 0 };
            var answer = await AskAsync(site, question, default, GrantTime, _site.Closing);
            return answer.A == 1;
        }
        catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException)
        {
            return false;
        }
    }

    private async ValueTask AnswerGrantAsync(string from, GroupFrame question)
    {
        var node = await WakeAsync(campaigns: false, _site.Closing);
        var leader = node.Leader?.Site;
        var isGranted = question.A switch
        {
            GrantLeaderLost => (leader is null || (!IsHere(leader) && await IsLostAsync(leader))) && !GoesBefore(from),
            _ => leader is null || string.Equals(leader, from, StringComparison.Ordinal),
        };
        if (isGranted) Volatile.Write(ref _grantedAt, _site.Time.GetTimestamp());
        await ReplyAsync(from, question, isGranted ? 1 : 0);
        if (!isGranted) return;
        if (question.B == 1) _choice.Asked(Now);
        if (question.A == GrantCampaign) await node.CampaignAsync(_site.Closing);
        else await node.GrantAsync(GrantTime, _site.Closing);
    }

    // That a site is gone is known when something was sent to it: then it answers, or the mesh learns that nobody is there.
    private async ValueTask<bool> IsLostAsync(string leader)
    {
        var answer = AnswersAsync(leader);
        for (var deadline = new Deadline(_site.Time, GrantTime / 2); !answer.IsCompleted && IsReachable(leader) && !deadline.IsPast;)
            await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(5), _site.Time, _site.Closing));
        return !IsReachable(leader);
    }

    private async Task<bool> AnswersAsync(string site)
    {
        try
        {
            await AskAsync(site, new GroupFrame { Kind = GroupFrameKind.Barrier, A = _log.CommitIndex }, default, GrantTime / 2, _site.Closing);
            return true;
        }
        catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException)
        {
            return false;
        }
    }

    // The mesh knows that the leader is gone: nobody has to wait until it has been silent for long. The sites that are
    // there take turns, and who has just granted another its vote waits, so that they do not split the votes.
    private async Task ReplaceLeaderAsync(RaftNode node, RaftMember lost)
    {
        try
        {
            var turn = TurnTime * Founding.Sites.Where(s => IsHere(s) || IsReachable(s)).ToList().IndexOf(_site.Name);
            await Task.Delay(turn, _site.Time, _site.Closing);
            for (var attempt = 0; attempt < 10 && Volatile.Read(ref _node) == node && (node.Leader is null || node.Leader == lost); attempt++)
            {
                if (IsReachable(lost.Site)) return;
                if (!HasGranted) await AskAndCampaignAsync(node);
                await Task.Delay((GrantTime / 2) + turn, _site.Time, _site.Closing);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or DotNext.Net.Cluster.Consensus.Raft.QuorumUnreachableException)
        {
            // The group is asleep, or the host closes.
        }
    }

    private async Task AskAndCampaignAsync(RaftNode node)
    {
        Volatile.Write(ref _isReplacing, 1);
        try
        {
            await Task.WhenAll(_others.Where(IsReachable).Select(v => GrantsAsync(v, GrantLeaderLost)));
            if (!HasGranted) await node.CampaignAsync(_site.Closing);
        }
        finally
        {
            Volatile.Write(ref _isReplacing, 0);
        }
    }

    // Of two that ask each other at the same moment one has to stand: the one whose turn comes first.
    private bool GoesBefore(string other) => Volatile.Read(ref _isReplacing) != 0 && Founding.Sites.IndexOf(_site.Name) < Founding.Sites.IndexOf(other);

    private bool HasGranted => Volatile.Read(ref _grantedAt) is > 0 and var at && _site.Time.GetElapsedTime(at) < GrantTime / 2;

    // Long enough for the others to hear of whoever went before.
    private TimeSpan TurnTime => GrantTime / 8;

    private TimeSpan GrantTime => TimeSpan.FromMilliseconds(ElectionTime.LowerValue / 4.0);
}
