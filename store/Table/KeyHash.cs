using System.Buffers.Binary;

namespace Cheops.Store.Table;

/// <summary>Hashes keys with a secret, so that nobody who chooses keys can choose their hashes. A table lives with one secret from its opening on.</summary>
/// <param name="secret">From a random source.</param>
internal sealed class KeyHash(ulong secret)
{
    private const ulong First = 0x9E3779B97F4A7C15, Second = 0xD6E8FEB86659FD93, Third = 0xA0761D6478BD642F;

    /// <summary>The hash of a key, all of whose bits depend on all of the key's.</summary>
    public ulong Of(ReadOnlySpan<byte> key)
    {
        var hash = secret ^ ((ulong)key.Length * First);
        for (; key.Length >= sizeof(ulong); key = key[sizeof(ulong)..])
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key), secret | Second);
        var last = 0UL;
        for (var i = 0; i < key.Length; i++) last |= (ulong)key[i] << (8 * i);
        return Mix(Mix(hash ^ last, secret | Third), First);
    }

    private static ulong Mix(ulong a, ulong b)
    {
        var high = Math.BigMul(a, b, out var low);
        return high ^ low ^ b;
    }
}
