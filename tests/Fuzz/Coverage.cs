using System.Numerics;
using SharpFuzz.Common;

namespace Cheops.Tests.Fuzz;

/// <summary>
/// Which branches the product's code took, and about how often. Code that SharpFuzz has instrumented counts into a map of
/// this process; code that is not instrumented counts nothing, and only the targets' outcomes guide a run then.
/// </summary>
/// <remarks>The map is one of the process: runs that are guided by it are made one after the other.</remarks>
internal sealed unsafe class Coverage
{
    private const int MapSize = 64 * 1024;

    private static readonly byte[] Map = MakeMap();

    // Per pair of branches, a bit for each order of magnitude of its count that was met.
    private readonly byte[] _met = new byte[MapSize];

    /// <summary>Pairs of branches that were met.</summary>
    public int Edges { get; private set; }

    private static byte[] MakeMap()
    {
        var map = GC.AllocateArray<byte>(MapSize, pinned: true);
        Trace.SharedMem = (byte*)System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(map, 0);
        return map;
    }

    /// <summary>Makes the map, without which instrumented code must not run.</summary>
    public static void Prepare() => _ = Map.Length;

    /// <summary>Forgets the counts of the input before.</summary>
    public static void Begin()
    {
        Map.AsSpan().Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>Whether the input since <see cref="Begin"/> took a branch, or took one about as often, as none did before it; notes what it took.</summary>
    public bool Take()
    {
        var isNew = false;
        for (var at = Map.AsSpan().IndexOfAnyExcept((byte)0); at >= 0;)
        {
            // 1, 2, 3, 4 to 7, 8 to 15 and so on: as AFL does it.
            var count = Map[at];
            var bit = (byte)(1 << (count < 4 ? count - 1 : Math.Min(7, BitOperations.Log2(count) + 1)));
            if ((_met[at] & bit) == 0)
            {
                if (_met[at] == 0) Edges++;
                _met[at] |= bit;
                isNew = true;
            }

            var next = Map.AsSpan(at + 1).IndexOfAnyExcept((byte)0);
            at = next < 0 ? -1 : at + 1 + next;
        }

        return isNew;
    }
}
