using System.Buffers;
using System.Collections.Concurrent;
using Cheops.Proto;

namespace Cheops.Agent.Transport;

/// <summary>
/// Buffers of the two sizes that connections use. The shared pool of the runtime keeps far more than it needs when a
/// thousand connections are open (STACK.md section 5); this one keeps a bounded number.
/// </summary>
internal static class BufferPool
{
    private static readonly ConcurrentQueue<byte[]> Small = new();
    private static readonly ConcurrentQueue<byte[]> Large = new();
    private static int SmallCount;
    private static int LargeCount;

    /// <summary>A buffer of at least <paramref name="size"/> bytes.</summary>
    public static byte[] Rent(int size)
    {
        if (size <= Bounds.SmallBufferSize) return Take(Small, ref SmallCount) ?? GC.AllocateUninitializedArray<byte>(Bounds.SmallBufferSize);
        if (size <= Bounds.LargeBufferSize) return Take(Large, ref LargeCount) ?? GC.AllocateUninitializedArray<byte>(Bounds.LargeBufferSize);
        return ArrayPool<byte>.Shared.Rent(size);
    }

    /// <summary>Takes a buffer back.</summary>
    public static void Return(byte[] buffer)
    {
        if (buffer.Length == Bounds.SmallBufferSize) Put(Small, ref SmallCount, buffer, Bounds.SmallBufferCountMax);
        else if (buffer.Length == Bounds.LargeBufferSize) Put(Large, ref LargeCount, buffer, Bounds.LargeBufferCountMax);
        else if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
    }

    private static byte[]? Take(ConcurrentQueue<byte[]> queue, ref int count)
    {
        if (!queue.TryDequeue(out var buffer)) return null;
        Interlocked.Decrement(ref count);
        return buffer;
    }

    private static void Put(ConcurrentQueue<byte[]> queue, ref int count, byte[] buffer, int max)
    {
        if (Interlocked.Increment(ref count) <= max) queue.Enqueue(buffer);
        else Interlocked.Decrement(ref count);
    }
}
