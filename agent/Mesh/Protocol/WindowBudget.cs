using Cheops.Proto;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>What the windows of all streams of a site may add up to beyond what each starts with: the bound on received bytes that wait.</summary>
internal sealed class WindowBudget
{
    private long _used;

    /// <summary>Takes <paramref name="bytes"/>, if they are left.</summary>
    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _used, bytes) <= Bounds.StreamWindowBudget) return true;
        Interlocked.Add(ref _used, -bytes);
        return false;
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes) => Interlocked.Add(ref _used, -bytes);
}
