using Cheops.Proto.Operations;
using Cheops.Raft.Founding;
using Cheops.Raft.Protocol;

namespace Cheops.Raft;

/// <summary>
/// A founding that was begun here and never came to its end, when another member has lost its data meanwhile: it can never be opened
/// as it is, and is begun again. 1. All whose data are still what it names are asked: where it is open, the group goes on as it is.
/// 2. Otherwise nobody can have gone on with it, and a record that names the data of now takes its place.
/// </summary>
public sealed partial class GroupHost
{
    /// <summary>Begins a founding again that can never come to its end; why that cannot be done yet, null when there is nothing to do any more.</summary>
    private async ValueTask<string?> RenewAsync(GroupId id, CancellationToken cancellation)
    {
        if (!_accepted.TryGetValue(id, out var own) || !FoundingRules.IsOutdated(own, _site.IncarnationOf)) return null;

        // :: Step 1
        var lost = own.Members.Where(IsLost).Select(member => member.Site).ToArray();
        foreach (var (site, _) in own.Members.Where(member => !IsHere(member.Site) && !lost.Contains(member.Site)))
        {
            if (await WhyNotToldAsync(site, own, cancellation) is { } reason)
                return $"{string.Join(" and ", lost)} lost its data while it was being founded, and {site} has to tell whether it was: {reason}";
        }

        // :: Step 2
        await _foundingGate.WaitAsync(cancellation);
        try
        {
            if (_accepted.GetValueOrDefault(id) != own) return null;
            await AcceptAsync(FoundingRules.Begin(own.Members.Select(member => member with { Incarnation = _site.LastIncarnationOf(member.Site) }), own.HasWitness, _site.Name));
            return null;
        }
        finally
        {
            _foundingGate.Release();
        }
    }

    // Null when it has told; what is open there is so here then.
    private async ValueTask<string?> WhyNotToldAsync(string site, FoundingRecord own, CancellationToken cancellation)
    {
        try
        {
            var answer = await AskFoundingAsync(site, own, cancellation);
            if (answer.Refuses(GroupRefusal.Incarnation)) return null;
            if (FoundingRecord.Read(answer.Body.Span) is not { } told || told.Founding.Id != own.Founding.Id) return "it does not answer that";
            if (told.IsOpen) await TakeAnswerAsync(told, cancellation);
            return null;
        }
        catch (Exception e) when (e is TimeoutException or IOException)
        {
            return e.Message;
        }
    }

    private bool IsLost(RosterEntry member) => _site.IncarnationOf(member.Site) is { IsUnknown: false } now && now != member.Incarnation;

    // For a site that founds the set and is held up by what stands here.
    private async Task RenewForAsync(string site, GroupId id)
    {
        try
        {
            if (await RenewAsync(id, _site.Closing) is null) await TellFoundingAsync(site, id, _site.Closing);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or GroupException or Store.Log.OperationLogException)
        {
            // Again when the site asks again.
        }
    }
}
