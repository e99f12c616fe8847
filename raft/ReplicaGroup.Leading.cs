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

    /// <inheritdoc/>
    public async ValueTask LeadAsync(string site, CancellationToken cancellation = default)
    {
        if (!Founding.Sites.Contains(site)) throw new GroupException(GroupError.NotMember, $"{site} is none of the sites of group {Id}");
        await WithinBoundAsync(
            async _ =>
            {
                var node = await WakeAsync(campaigns: IsHere(site), cancellation);
                if (await LeadingTermAsync(node, cancellation) is not null)
                    return IsHere(site) || await HandOverAsync(node, site, cancellation) ? 1 : 0;
                if (node.Leader is not { IsRemote: true } leader) return await WaitForLeaderAsync(node, cancellation);
                if (string.Equals(leader.Site, site, StringComparison.Ordinal)) return 1;
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
            && (IsHere(site) || await HandOverAsync(node, site, _site.Closing));
        await ReplyAsync(from, question.Frame, isDone ? 1 : 0);
    }

    // The target has to have what this site has; the others, and this site, have to vote although they heard of a leader.
    private async ValueTask<bool> HandOverAsync(RaftNode node, string site, CancellationToken cancellation)
    {
        if (!IsReachable(site)) return false;
        await node.ForceReplicationAsync(cancellation);
        await Task.WhenAll(_others.Where(v => !string.Equals(v, site, StringComparison.Ordinal)).Select(v => GrantsAsync(v, GrantHandOver)));
        if (!await node.ResignAsync(cancellation)) return false;
        var granting = node.GrantAsync(GrantTime, _site.Closing);
        if (!await GrantsAsync(site, GrantCampaign)) return false;
        for (var deadline = new Deadline(_site.Time, GrantTime); !deadline.IsPast; await PauseAsync(cancellation))
        {
            if (node.Leader is { } leader && string.Equals(leader.Site, site, StringComparison.Ordinal)) return true;
        }

        await granting;
        return false;
    }

    private async Task<bool> GrantsAsync(string site, long reason)
    {
        try
        {
            var answer = await AskAsync(site, new GroupFrame { Kind = GroupFrameKind.Grant, A = reason }, default, GrantTime, _site.Closing);
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
            GrantLeaderLost => leader is null || (!IsHere(leader) && !IsReachable(leader)),
            _ => leader is null || string.Equals(leader, from, StringComparison.Ordinal),
        };
        await ReplyAsync(from, question, isGranted ? 1 : 0);
        if (!isGranted) return;
        if (question.A == GrantCampaign) await node.CampaignAsync(_site.Closing);
        else await node.GrantAsync(GrantTime, _site.Closing);
    }

    // The mesh knows that the leader is gone: nobody has to wait until it has been silent for long. The sites that are
    // there take turns, so that they do not split the votes.
    private async Task ReplaceLeaderAsync(RaftNode node, RaftMember lost)
    {
        try
        {
            var candidates = Founding.Sites.Where(s => IsHere(s) || IsReachable(s)).ToList();
            await Task.Delay(GrantTime * (candidates.IndexOf(_site.Name) / 4.0), _site.Time, _site.Closing);
            for (var attempt = 0; attempt < 10 && Volatile.Read(ref _node) == node && (node.Leader is null || node.Leader == lost); attempt++)
            {
                if (IsReachable(lost.Site)) return;
                await Task.WhenAll(_others.Where(IsReachable).Select(v => GrantsAsync(v, GrantLeaderLost)));
                await node.CampaignAsync(_site.Closing);
                await Task.Delay(GrantTime * (0.5 + candidates.IndexOf(_site.Name) / 4.0), _site.Time, _site.Closing);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or DotNext.Net.Cluster.Consensus.Raft.QuorumUnreachableException)
        {
            // The group is asleep, or the host closes.
        }
    }

    private TimeSpan GrantTime => TimeSpan.FromMilliseconds(ElectionTime.LowerValue / 4.0);
}
