using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft;

/// <summary>
/// Where nobody has asked for another leader, the lead goes to the site that sends most of the group's operations; a witness gives
/// it to the first site that has what it has.
/// </summary>
internal sealed partial class ReplicaGroup
{
    private int _isGiving;

    private TimeSpan Now => _site.Time.GetElapsedTime(0);

    private void CountFrom(string site) => _choice.Count(site, Now);

    /// <summary>Gives the lead away when this site has it and it belongs to another one. Sends nothing otherwise.</summary>
    public async Task GiveLeadAsync()
    {
        if (Volatile.Read(ref _node) is not { IsLeader: true } node || BetterLeader() is not { } site) return;
        if (!MayBeGiven(site) || Interlocked.Exchange(ref _isGiving, 1) != 0) return;
        try
        {
            if (!IsLive(node) || !await HasCaughtUpAsync(node, site)) return;
            // Whatever comes of it, not again at the next tick.
            if (!IsWitness) _choice.Stay(Now);
            await HandOverAsync(node, site, isAsked: false, _site.Closing);
        }
        catch (Exception e) when (e is IOException or TimeoutException or InvalidOperationException or OperationCanceledException or QuorumUnreachableException)
        {
            // Another one leads by now, or none: whoever leads next counts anew.
        }
        finally
        {
            Volatile.Write(ref _isGiving, 0);
        }
    }

    private string? BetterLeader() => IsWitness ? _others.FirstOrDefault(MayBeGiven) : _choice.Better(_site.Name, Now);

    // Not while the members change: a site that is let in, or left out, first.
    private bool MayBeGiven(string site) =>
        Founding.Sites.Contains(site) && Record.Voters.Contains(site) && IsReachable(site) && !HasStrangers() && ReachesMajority
        && Volatile.Read(ref _isChanging) == 0;

    // A site that lags would first have to be given all: until then nobody would lead.
    private async ValueTask<bool> HasCaughtUpAsync(Consensus.RaftNode node, string site)
    {
        var index = _log.LastIndex;
        await node.ForceReplicationAsync(_site.Closing);
        return node.Members.Any(member => member.MatchIndex >= index && string.Equals(member.Site, site, StringComparison.Ordinal));
    }
}
