using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Cheops.Proto;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// A site that will not come back leaves the groups of this site, and those of another one whose host is asked. Who asks is a
/// site of the mesh, which its link proves, and decides nothing: each group's remaining members agree or do not.
/// </summary>
public sealed partial class GroupHost
{
    /// <inheritdoc/>
    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAsync(string site, CancellationToken cancellation = default)
    {
        if (IsHere(site)) throw new GroupException(GroupError.NotMember, "a site does not remove itself: the others decide that");
        var removals = new ConcurrentBag<SiteRemoval>();
        var groups = _groups.Values.Where(g => g.Founding.Voters.Contains(site)).ToArray();
        var options = new ParallelOptions { MaxDegreeOfParallelism = Bounds.GroupRemovalsMax };
        await Parallel.ForEachAsync(groups, options, async (group, _) => removals.Add(await RemoveFromAsync(group, site, cancellation)));
        return [.. removals.OrderBy(one => string.Join('&', one.Sites), StringComparer.Ordinal)];
    }

    /// <inheritdoc/>
    public async ValueTask<ImmutableArray<SiteRemoval>> RemoveSiteAtAsync(
        string at, string site, bool evenIfUp, CancellationToken cancellation = default)
    {
        GroupMessage answer;
        try
        {
            var question = new GroupFrame { Kind = GroupFrameKind.RemoveSite, A = evenIfUp ? 1 : 0 };
            var bound = TimeSpan.FromMilliseconds(Bounds.SiteRemovalTimeMaxMs) + _site.Options.ElectionTimeMin;
            answer = await _site.Post.AskAsync(at, question, Encoding.ASCII.GetBytes(site), bound, cancellation);
        }
        catch (Exception e) when (e is TimeoutException or IOException)
        {
            throw new GroupException(GroupError.Unknown, $"{at} did not answer: {e.Message}", false, e);
        }

        if (answer.Refuses(GroupRefusal.IsUp)) throw new GroupException(GroupError.NotMember, $"{at} refuses: {site} is up there");
        if (answer.Frame.Kind == GroupFrameKind.Refused) throw new GroupException(GroupError.NotMember, $"{at} refuses ({(GroupRefusal)answer.Frame.A})");
        return RemovedGroups.Read(answer.Body.Span) ?? throw new GroupException(GroupError.Unknown, $"what {at} answers is not understood", false);
    }

    private static async ValueTask<SiteRemoval> RemoveFromAsync(ReplicaGroup group, string site, CancellationToken cancellation)
    {
        var sites = group.Founding.Sites;
        if (!group.BelongsHere) return new SiteRemoval(sites, group.Status.Problem);
        if (!group.Record.Voters.Contains(site)) return new SiteRemoval(sites, "");
        try
        {
            await group.RemoveAsync(site, cancellation);
            return new SiteRemoval(sites, "");
        }
        catch (OperationCanceledException)
        {
            return new SiteRemoval(sites, "its members have not agreed in time; they may still");
        }
        catch (Exception e) when (e is IOException or TimeoutException or InvalidOperationException)
        {
            return new SiteRemoval(sites, e.Message);
        }
    }

    private async ValueTask AnswerRemoveSiteAsync(string from, GroupMessage question)
    {
        var site = Encoding.ASCII.GetString(question.Body.Span);
        if (question.Frame.Incarnation != _site.IncarnationOf(from))
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.Incarnation);
        }
        else if (IsHere(site) || site.Length > Bounds.SiteNameLengthMax)
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.NotMember);
        }
        else if (question.Frame.A != 1 && _site.Post.IsUp(site))
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.IsUp);
        }
        else
        {
            using var bound = CancellationTokenSource.CreateLinkedTokenSource(_site.Closing);
            bound.CancelAfter(TimeSpan.FromMilliseconds(Bounds.SiteRemovalTimeMaxMs));
            // Should one message not take all, it takes what a person has to know.
            var removals = (await RemoveSiteAsync(site, bound.Token)).OrderBy(one => one.IsDone);
            await _site.Post.AnswerAsync(from, question.Frame, new GroupFrame { Kind = GroupFrameKind.Reply }, RemovedGroups.ToBytes(removals));
        }
    }
}
