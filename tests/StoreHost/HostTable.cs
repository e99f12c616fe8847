using System.Globalization;
using System.Text;

namespace Cheops.Tests.StoreHost;

/// <summary>What <see cref="TableHost"/> writes: each round changes some keys, as its number says, and is then made durable.</summary>
public static class HostTable
{
    /// <summary>Keys that rounds write and remove.</summary>
    public const int Keys = 3000;

    private const int ChangesPerRound = 400;

    /// <summary>The changes of a round; a null value removes the key.</summary>
    public static IEnumerable<(byte[] Key, byte[]? Value)> Round(int round)
    {
        var chance = new Random(round);
        for (var i = 0; i < ChangesPerRound; i++)
        {
            var key = chance.Next(Keys);
            yield return (Encoding.ASCII.GetBytes($"key-{key}"), chance.Next(5) == 0 ? null : Value(chance.Next(), chance.Next(1000)));
        }
    }

    /// <summary>What is there after all rounds up to this one.</summary>
    public static Dictionary<string, byte[]> After(int round)
    {
        var all = new Dictionary<string, byte[]>();
        for (var i = 1; i <= round; i++)
        {
            foreach (var (key, value) in Round(i))
            {
                if (value is null) all.Remove(Encoding.ASCII.GetString(key));
                else all[Encoding.ASCII.GetString(key)] = value;
            }
        }

        return all;
    }

    /// <summary>A round as a mark.</summary>
    public static byte[] Mark(int round) => Encoding.ASCII.GetBytes(round.ToString(CultureInfo.InvariantCulture));

    /// <summary>The round that a mark tells of; 0 for an empty one.</summary>
    public static int RoundOf(ReadOnlySpan<byte> mark) => mark.IsEmpty ? 0 : int.Parse(mark, CultureInfo.InvariantCulture);

    /// <summary>Bytes that follow from a seed.</summary>
    public static byte[] Value(int seed, int size)
    {
        var bytes = new byte[size];
        for (var i = 0; i < size; i++) bytes[i] = (byte)((i * 31) + seed);
        return bytes;
    }
}
