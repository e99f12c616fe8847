using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// Sites that were removed from the group by decision of a person. What waits for one, was in doubt or has failed there is over
/// with the entry that says so; what comes later never waits for it. Another site decides what it had left undecided.
/// </summary>
/// <remarks>
/// The table may know of a removal before its entry is applied again: it counts for what has a higher index only, as it did
/// the first time.
/// </remarks>
public sealed partial class GroupState
{
    private readonly Dictionary<string, long> _removed = removed is null ? [] : new(removed, StringComparer.Ordinal);

    /// <summary>The sites that were removed, each with the index of the entry that did it.</summary>
    public IReadOnlyDictionary<string, long> Removed => _removed;

    private bool IsRemoved(string site, long index) => _removed.TryGetValue(site, out var at) && at < index;

    private void Remove(long index, RemovedEntry entry, List<Effect> effects)
    {
        var gone = entry.Site;
        if (!sites.Contains(gone) || IsRemoved(gone, index)) return;
        _removed[gone] = index;
        effects.Add(new SiteRemoved(gone, index));
        foreach (var state in _open.Values.ToArray())
        {
            if (state.StepAt(gone) is not (SiteStep.Pending or SiteStep.InDoubt or SiteStep.Failed or SiteStep.Replaced)) continue;
            if (state.Decision is null && state.Decider == gone) LetDecide(state, FirstOf(index + 1), index);
            state.Set(gone, SiteStep.Removed, state.AnswerAt(gone));
            AfterStep(state, gone, effects);
        }
    }

    // Who decides what was proposed with an entry.
    private string DeciderOf(Operation operation, long index) =>
        sites.Contains(operation.Origin) && !IsRemoved(operation.Origin, index) ? operation.Origin : FirstOf(index);

    private string FirstOf(long index) => sites.FirstOrDefault(site => !IsRemoved(site, index)) ?? sites[0];

    private void LeaveOutRemoved(OperationState state, long index)
    {
        foreach (var gone in _removed.Keys)
        {
            if (IsRemoved(gone, index) && state.StepAt(gone) == SiteStep.Pending) state.Set(gone, SiteStep.Removed, null);
        }
    }

    /// <summary>Takes in a removal from a snapshot.</summary>
    internal void ImportRemoved(string site, long index) => _removed[site] = index;
}
