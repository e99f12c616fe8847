using System.Buffers.Binary;

namespace Cheops.Store.Table;

/// <summary>
/// Hashes keys with a secret, so that nobody who chooses keys can choose their hashes. A table keeps its secret: the
/// records of its log are chained by hash.
/// </summary>
/// <param name="secret">From a random source.</param>
/// <param name="mask">The bits that count; all but in tests.</param>
internal sealed class KeyHash(ulong secret, ulong mask = ulong.MaxValue)
{
    private const ulong First = 0x9E3779B97F4A7C15, Second = 0xD6E8FEB86659FD93, Third = 0xA0761D6478BD642F;

    /// <summary>The hash of a key: all its bits depend on all of the key's.</summary>
    public ulong Of(ReadOnlySpan<byte> key)
    {
        var hash = secret ^ ((ulong)key.Length * First);
        for (; key.Length >= sizeof(ulong); key = key[sizeof(ulong)..])
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key), secret | Second);
        var last = 0UL;
        for (var i = 0; i < key.Length; i++) last |= (ulong)key[i] << (8 * i);
        return Mix(Mix(hash ^ last, secret | Third), First) & mask;
    }

    private static ulong Mix(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low ^ b;
    }
}
