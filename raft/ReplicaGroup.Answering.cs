using Cheops.Raft.Protocol;
using Cheops.Store.Log;
using DotNext.Net.Cluster.Consensus.Raft;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    /// <summary>Answers a question of a member.</summary>
    public async ValueTask AnswerAsync(string from, GroupMessage question)
    {
        if (Record.IncarnationOf(from) is not { } belongs)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotMember);
            return;
        }

        if (belongs != question.Frame.Incarnation || !BelongsHere || question.Frame.Generation < Record.Since)
        {
            StrangerMet?.Invoke(this, from);
            await RefuseAsync(from, question.Frame, GroupRefusal.Incarnation);
            return;
        }

        if (MustMeetFirst(question.Frame.Kind))
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotMet);
            return;
        }

        try
        {
            await AnswerMemberAsync(from, question);
        }
        catch (Exception e) when (e is OperationLogException or GroupException or ObjectDisposedException or OperationCanceledException or InvalidOperationException or TimeoutException or IOException)
        {
            await RefuseAsync(from, question.Frame, RefusalOf(e));
        }
    }

    private ValueTask AnswerMemberAsync(string from, GroupMessage question) => question.Frame.Kind switch
    {
        GroupFrameKind.PreVote => AnswerPreVoteAsync(from, question.Frame),
        GroupFrameKind.Vote => AnswerVoteAsync(from, question.Frame),
        GroupFrameKind.Append => AnswerAppendAsync(from, question),
        GroupFrameKind.Propose => AnswerProposeAsync(from, question),
        GroupFrameKind.Barrier => AnswerBarrierAsync(from, question.Frame),
        GroupFrameKind.Committed => TakeCommittedAsync(question.Frame),
        GroupFrameKind.Sleep => AnswerSleepAsync(from, question.Frame),
        GroupFrameKind.Grant => AnswerGrantAsync(from, question.Frame),
        GroupFrameKind.Lead => AnswerLeadAsync(from, question),
        GroupFrameKind.Remove => AnswerRemoveAsync(from, question),
        GroupFrameKind.Snapshot => AnswerSnapshotAsync(from, question),
        _ => RefuseAsync(from, question.Frame, GroupRefusal.Unable),
    };

    private async ValueTask AnswerPreVoteAsync(string from, GroupFrame question)
    {
        var (index, term) = _log.Last;
        // Whoever asks lacks entries that this site has: it cannot win, but this one may.
        var lacks = question.C < term || (question.C == term && question.B < index);
        var node = await WakeAsync(campaigns: lacks, _site.Closing);
        var result = await node.TakePreVoteAsync(_voters.IdOf(from), question, _site.Closing);
        await ReplyAsync(from, question, result.Term, (long)result.Value);
    }

    private async ValueTask AnswerVoteAsync(string from, GroupFrame question)
    {
        var node = await WakeAsync(campaigns: false, _site.Closing);
        var result = await node.TakeVoteAsync(_voters.IdOf(from), question, _site.Closing);
        await ReplyAsync(from, question, result.Term, result.Value ? 1 : 0);
    }

    private async ValueTask AnswerAppendAsync(string from, GroupMessage question)
    {
        if (EntryBatch.Read(question.Body) is not { } entries)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.Unable);
            return;
        }

        var node = await WakeAsync(campaigns: false, _site.Closing);
        if (entries.Count > 0) Touch();
        var result = await node.TakeEntriesAsync(_voters.IdOf(from), question.Frame, entries, _site.Closing);
        await ReplyAsync(from, question.Frame, result.Term, (long)result.Value.Result, result.Value.LastIndex);
    }

    private async ValueTask AnswerProposeAsync(string from, GroupMessage question)
    {
        Touch();
        var node = await WakeAsync(campaigns: false, _site.Closing);
        if (await LeadingTermAsync(node, _site.Closing) is not { } term || !ReachesMajority)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotLeader);
            return;
        }

        var index = await AppendHereAsync(term, question.Body, question.Frame.A == 1, _site.Closing);
        if (index == 0)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotLeader);
            return;
        }

        if (question.Frame.A == 1) CountFrom(from);
        var isCommitted = true;
        try
        {
            await _log.WaitCommittedAsync(index).WaitAsync(_site.Options.ProposeTimeMax, _site.Time, _site.Closing);
        }
        catch (TimeoutException)
        {
            isCommitted = false;
        }

        await ReplyAsync(from, question.Frame, index, term, isCommitted && _log.TermOf(index) == term ? 1 : 0);
    }

    private async ValueTask AnswerBarrierAsync(string from, GroupFrame question)
    {
        var node = await WakeAsync(campaigns: false, _site.Closing);
        // A leader knows all that is committed, and that it still leads, when a majority has answered it since.
        if (await LeadingTermAsync(node, _site.Closing) is null)
        {
            await ReplyAsync(from, question, 0);
            return;
        }

        var index = _log.CommitIndex;
        await node.ForceReplicationAsync(_site.Closing);
        if (!node.IsLeader) await ReplyAsync(from, question, 0);
        else await ReplyAsync(from, question, 1, index);
    }

    // Entries are alike up to one that has the same index and term.
    private async ValueTask TakeCommittedAsync(GroupFrame notice)
    {
        if (_log.TermOf(notice.A) == notice.B) await _log.CommitAsync(notice.A);
    }

    private ValueTask ReplyAsync(string to, GroupFrame question, long a, long b = 0, long c = 0) =>
        _site.Post.AnswerAsync(to, question, Answer(GroupFrameKind.Reply, a, b, c));

    private ValueTask RefuseAsync(string to, GroupFrame question, GroupRefusal reason) =>
        _site.Post.AnswerAsync(to, question, Answer(GroupFrameKind.Refused, (long)reason, 0, 0));

    private GroupFrame Answer(GroupFrameKind kind, long a, long b, long c) =>
        new() { Kind = kind, Group = Id, Generation = (uint)Record.Generation, A = a, B = b, C = c };

    private static GroupRefusal RefusalOf(Exception e) => e switch
    {
        GroupException { Error: GroupError.Busy } => GroupRefusal.Busy,
        GroupException { Error: GroupError.Full } => GroupRefusal.Full,
        NotLeaderException => GroupRefusal.NotLeader,
        _ => GroupRefusal.Unable,
    };
}
