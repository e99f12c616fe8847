namespace Cheops.Agent.Mesh.Protocol;

/// <summary>
/// Lets streams take turns on the bulk lane, a chunk each, first come, first served: whoever waits is given room before
/// anyone who comes later. One epoch's worth; guarded by the link's lock.
/// </summary>
internal sealed class BulkTurns
{
    private readonly Queue<(int Bytes, TaskCompletionSource<bool> Turn)> _waiting = new();

    /// <summary>How much may be in flight.</summary>
    public BulkWindow Window { get; } = new();

    /// <summary>Takes room for a chunk.</summary>
    /// <returns>Null when it was there; else a task that completes when it was given (true) or the epoch ended (false).</returns>
    public Task<bool>? Take(int bytes)
    {
        if (_waiting.Count == 0 && Window.Room > 0)
        {
            Window.Reserve(bytes);
            return null;
        }

        var turn = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiting.Enqueue((bytes, turn));
        return turn.Task;
    }

    /// <summary>Gives room back that was taken and not used.</summary>
    public void Return(int bytes)
    {
        Window.Reserve(-bytes);
        Give();
    }

    /// <summary>Notes that the peer has received everything up to a sequence.</summary>
    public void OnAcknowledged(ulong upTo, long nowUs)
    {
        Window.OnAcknowledged(upTo, nowUs);
        Give();
    }

    /// <summary>Sends everyone away: the epoch is over.</summary>
    public void End()
    {
        while (_waiting.TryDequeue(out var next)) next.Turn.TrySetResult(false);
    }

    private void Give()
    {
        while (Window.Room > 0 && _waiting.TryDequeue(out var next))
        {
            Window.Reserve(next.Bytes);
            next.Turn.TrySetResult(true);
        }
    }
}
