using System.Collections.Immutable;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// Who can be the witness of two sites. One that is away can, when both have met it: each votes, so that the two are a majority
/// without it, and it learns of the group when it is back. Where only one has met it, the other would not vote before that.
/// </summary>
public sealed partial class GroupHost
{
    /// <inheritdoc/>
    public async ValueTask<string?> ChooseWitnessAsync(
        ImmutableArray<string> sites, ImmutableArray<string> candidates, CancellationToken cancellation = default)
    {
        if (candidates.FirstOrDefault(_site.Post.IsUp) is { } there) return there;
        foreach (var candidate in candidates)
        {
            if (await CanWitnessAsync(sites, candidate, cancellation)) return candidate;
        }

        return null;
    }

    private async ValueTask<bool> CanWitnessAsync(ImmutableArray<string> sites, string candidate, CancellationToken cancellation)
    {
        if (_site.Post.IsUp(candidate)) return true;
        if (!_site.Met.TryGetValue(candidate, out var incarnation)) return false;
        var other = sites.First(s => !IsHere(s));
        if (!_site.Post.IsUp(other)) return false;
        try
        {
            var question = new GroupFrame { Kind = GroupFrameKind.HasMet };
            var answer = await _site.Post.AskAsync(other, question, MetSites.ToBytes([new(candidate, incarnation)]), _site.Options.ElectionTimeMin * 2, cancellation);
            return answer.Frame is { Kind: GroupFrameKind.Reply, A: 1 };
        }
        catch (Exception e) when (e is TimeoutException or IOException)
        {
            return false;
        }
    }

    // Whether this site has met another one too, and knows of no other data of it.
    private async ValueTask AnswerHasMetAsync(string from, GroupMessage question)
    {
        if (question.Frame.Incarnation != _site.IncarnationOf(from) || MetSites.Read(question.Body.Span) is not [var (site, incarnation)])
        {
            await RefuseAsync(from, question.Frame, GroupRefusal.Incarnation);
            return;
        }

        var hasMet = !incarnation.IsUnknown && _site.Met.GetValueOrDefault(site) == incarnation && _site.LastIncarnationOf(site) == incarnation;
        await _site.Post.AnswerAsync(from, question.Frame, new GroupFrame { Kind = GroupFrameKind.Reply, A = hasMet ? 1 : 0 });
    }
}
