using Cheops.Raft.Consensus;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup : IMemberContext
{
    private static readonly TimeSpan TellPause = TimeSpan.FromMilliseconds(10);

    private int _isTelling;

    TimeSpan IMemberContext.VoteTimeout => TimeSpan.FromMilliseconds(ElectionTime.LowerValue / 2);

    TimeSpan IMemberContext.AppendTimeout => TimeSpan.FromMilliseconds(ElectionTime.LowerValue);

    TimeSpan IMemberContext.RestoreTimeout => _site.Options.RestoreTimeMax;

    bool IMemberContext.IsLeader(string site) => string.Equals(Volatile.Read(ref _node)?.Leader?.Site, site, StringComparison.Ordinal);

    bool IMemberContext.IsReachable(string site) => IsReachable(site);

    /// <inheritdoc/>
    public async Task<GroupFrame> AskAsync(
        string site, GroupFrame question, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken token)
    {
        if (!IsReachable(site)) throw new IOException($"{site} is not reached");
        var answer = await AskAnyAsync(site, question, body, timeout, token);
        if (answer.Frame.Kind == GroupFrameKind.Refused) throw new IOException($"{site} refuses: {(GroupRefusal)answer.Frame.A}");
        return answer.Frame;
    }

    private async Task<GroupMessage> AskAnyAsync(
        string site, GroupFrame question, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken token)
    {
        var frame = question with { Group = Id, Generation = (uint)Record.Generation };
        var answer = await _site.Post.AskAsync(site, frame, body, timeout, token);
        if (!Counts(site, answer.Frame.Incarnation) || answer.Refuses(GroupRefusal.UnknownGroup) || answer.Refuses(GroupRefusal.Incarnation))
        {
            StrangerMet?.Invoke(this, site);
            throw new IOException($"{site} does not belong to group {Id} now");
        }

        return answer;
    }

    /// <summary>Told of a member that does not know the group, or not as the one that belongs to it.</summary>
    public Action<ReplicaGroup, string>? StrangerMet { get; set; }

    private bool IsReachable(string site) => _site.Post.IsUp(site);

    private bool ReachesMajority => Volatile.Read(ref _isAlone) || _others.Count(IsReachable) >= (_others.Length + 1) / 2;

    // Followers learn with the next entries how far is committed. When none come soon they are told, and need not wait for
    // the next heartbeat.
    private void TellCommitted(long index)
    {
        if (Volatile.Read(ref _node) is not { IsLeader: true } node || index < _log.LastIndex) return;
        if (Interlocked.Exchange(ref _isTelling, 1) == 0) _ = TellSoonAsync(node);
    }

    private async Task TellSoonAsync(RaftNode node)
    {
        try
        {
            await Task.Delay(TellPause, _site.Time, _site.Closing);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        Volatile.Write(ref _isTelling, 0);
        var index = _log.CommitIndex;
        if (!node.IsLeader || _log.TermOf(index) is not { } term) return;
        var notice = new GroupFrame { Kind = GroupFrameKind.Committed, Group = Id, Generation = (uint)Record.Generation, A = index, B = term };
        foreach (var member in node.Members)
        {
            if (member.IsRemote && member.ToldCommitted < index && IsReachable(member.Site)) _ = TellAsync(member.Site, notice);
        }
    }

    private async Task TellAsync(string site, GroupFrame notice)
    {
        try
        {
            await _site.Post.SendAsync(site, notice, default, _site.Options.ElectionTimeMin);
        }
        catch (IOException)
        {
            // The next heartbeat tells it too.
        }
    }
}
