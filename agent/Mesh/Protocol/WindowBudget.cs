using Cheops.Proto;

namespace Cheops.Agent.Mesh.Protocol;

/// <summary>
/// What all links of a site share: how far the windows of streams may grow beyond what each starts with, and how many
/// received bytes may wait to be read at all.
/// </summary>
internal sealed class WindowBudget
{
    private long _grown;
    private long _held;

    /// <summary>Bytes received that wait to be read.</summary>
    public long Held => Volatile.Read(ref _held);

    /// <summary>Lets a window grow by <paramref name="bytes"/>, if they are left.</summary>
    public bool TryGrow(long bytes) => TryAdd(ref _grown, bytes, Bounds.StreamWindowBudget);

    /// <summary>Gives growth back.</summary>
    public void Shrink(long bytes) => Interlocked.Add(ref _grown, -bytes);

    /// <summary>Counts received bytes that wait, if the bound lets them.</summary>
    public bool TryHold(long bytes) => TryAdd(ref _held, bytes, Bounds.LinkReceivedHeldMax);

    /// <summary>Counts bytes as read or given up.</summary>
    public void Release(long bytes) => Interlocked.Add(ref _held, -bytes);

    private static bool TryAdd(ref long sum, long bytes, long max)
    {
        if (Interlocked.Add(ref sum, bytes) <= max) return true;
        Interlocked.Add(ref sum, -bytes);
        return false;
    }
}
