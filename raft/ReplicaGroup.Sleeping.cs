using Cheops.Raft.Protocol;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    // Another member lacks what this one has, and nobody has led since: until then whoever falls asleep leaves it behind.
    private volatile bool _owes;

    /// <summary>
    /// Puts the group to sleep when nobody has used it for a while: at the leader, when all members that are reached have
    /// what it has; elsewhere only when nobody leads, and there is nothing to wait for.
    /// </summary>
    public async Task SleepIfIdleAsync()
    {
        if (Volatile.Read(ref _node) is not { } node) return;
        await RejoinAsync(node);
        if (node.Leader is not null) _owes = false;
        if (!IsIdle() || (_owes && ReachesMajority)) return;
        if (node.Leader is null) await StopAsync(node);
        else if (node.IsLeader && !HasStrangers() && IsLive(node) && await AllSleepAsync()) await FallAsleepAsync(node);
    }

    private bool IsIdle() =>
        Volatile.Read(ref _proposing) == 0 && Unused >= _site.Options.IdleTime && _applier.Index == _log.CommitIndex;

    private async ValueTask<bool> AllSleepAsync()
    {
        var (index, term) = _log.Last;
        if (_log.CommitIndex != index) return false;
        var question = new GroupFrame { Kind = GroupFrameKind.Sleep, A = index, B = term };
        var answers = await Task.WhenAll(_others.Where(IsReachable).Select(v => SleepsAsync(v, question)));
        return answers.All(a => a) && IsIdle() && _log.Last == (index, term);
    }

    private async Task<bool> SleepsAsync(string site, GroupFrame question)
    {
        try
        {
            var answer = await AskAsync(site, question, default, _site.Options.ElectionTimeMin, _site.Closing);
            return answer.A == 1;
        }
        catch (Exception e) when (e is IOException or TimeoutException or OperationCanceledException)
        {
            return false;
        }
    }

    private async ValueTask AnswerSleepAsync(string from, GroupFrame question)
    {
        if (_log.Last != (question.A, question.B) || Volatile.Read(ref _proposing) > 0)
        {
            await ReplyAsync(from, question, 0);
            return;
        }

        // The leader says so only when all of its entries are committed.
        await _log.CommitAsync(question.A);
        await _applier.WaitAsync(question.A).WaitAsync(_site.Closing);
        if (Volatile.Read(ref _node) is { } node) await FallAsleepAsync(node);
        await ReplyAsync(from, question, 1);
    }

    private async Task FallAsleepAsync(Consensus.RaftNode node)
    {
        await _log.RecordCommitAsync();
        await StopAsync(node, together: true);
    }
}
