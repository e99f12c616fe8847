using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication.State;

/// <summary>
/// How far this site has come with what is accepted. An operation that its service refuses may build on one before it, of
/// whichever replicant: the refusal counts only when all before it are done here.
/// </summary>
public sealed partial class GroupState
{
    // Accepted and pending here, of each service; every change of what an operation is here goes by Track.
    private readonly Dictionary<string, SortedSet<(long Index, int Part)>> _toFollow = new(StringComparer.Ordinal);

    /// <summary>Whether all that was accepted before an entry is done here.</summary>
    /// <param name="before">The entry's index.</param>
    /// <param name="counts">Whether the operations of a service count.</param>
    public bool IsCaughtUp(long before, Func<string, bool> counts) =>
        !_toFollow.Any(of => of.Value.Count > 0 && of.Value.Min.Index < before && counts(of.Key));

    private void Track(OperationState state)
    {
        var service = state.Key.Service;
        if (!_toFollow.TryGetValue(service, out var left)) _toFollow[service] = left = [];
        if (state.Decision == Decision.Accepted && state.StepAt(self) == SiteStep.Pending) left.Add((state.Index, state.Part));
        else left.Remove((state.Index, state.Part));
    }
}
