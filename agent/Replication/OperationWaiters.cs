using Cheops.Proto.Operations;

namespace Cheops.Agent.Replication;

/// <summary>Who waits for a change of one operation: a change wakes those who wait for it, and nobody else. Guarded by its owner's lock.</summary>
internal sealed class OperationWaiters
{
    private readonly Dictionary<OperationId, TaskCompletionSource> _waiting = [];

    /// <summary>Completes when the operation has changed.</summary>
    public Task ChangeOf(OperationId id)
    {
        if (!_waiting.TryGetValue(id, out var change)) _waiting[id] = change = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return change.Task;
    }

    /// <summary>An operation has changed.</summary>
    public void Changed(OperationId id)
    {
        if (_waiting.Remove(id, out var change)) change.SetResult();
    }

    /// <summary>All may have changed.</summary>
    public void AllChanged()
    {
        foreach (var change in _waiting.Values) change.SetResult();
        _waiting.Clear();
    }
}
