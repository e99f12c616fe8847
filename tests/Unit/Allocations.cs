namespace Cheops.Tests.Unit;

/// <summary>What code allocates.</summary>
internal static class Allocations
{
    private const int Rounds = 5;

    /// <summary>
    /// Bytes that the thread allocates for something done many times, once it has been done: the least of several rounds, since the
    /// runtime allocates now and then itself, as when it compiles a method again.
    /// </summary>
    public static long LeastOf(Action many)
    {
        var least = long.MaxValue;
        for (var round = 0; round < Rounds && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            many();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
