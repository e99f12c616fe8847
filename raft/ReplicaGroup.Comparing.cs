using Cheops.Raft.Protocol;

namespace Cheops.Raft;

internal sealed partial class ReplicaGroup
{
    /// <summary>Another member stands elsewhere: whoever has more campaigns, and gives it to the other.</summary>
    public async Task CompareAsync(ComparedGroup there)
    {
        var (index, term) = _log.Last;
        var isAhead = term > there.LastTerm || (term == there.LastTerm && index > there.LastIndex);
        var isAlike = term == there.LastTerm && index == there.LastIndex;
        if (!BelongsHere || !(isAhead || (isAlike && _log.CommitIndex > there.CommitIndex))) return;
        try
        {
            Touch();
            _owes = true;
            await WakeAsync(campaigns: !IsWitness, _site.Closing);
        }
        catch (Exception e) when (e is GroupException or OperationCanceledException or Store.Log.OperationLogException or ObjectDisposedException)
        {
            // It is woken when it is used.
        }
    }
}
