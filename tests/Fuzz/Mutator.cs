namespace Cheops.Tests.Fuzz;

/// <summary>Makes new inputs of old ones.</summary>
internal sealed class Mutator(Random random, IReadOnlyList<byte[]> words)
{
    private static readonly byte[] Interesting =
        [0, 1, 9, 10, 11, 12, 13, 0x1F, (byte)' ', (byte)'"', (byte)',', (byte)'/', (byte)'0', (byte)':', (byte)';', (byte)'=', (byte)'\\', (byte)'_', 0x7E, 0x7F, 0x80, 0xFF];

    /// <summary>Changes <paramref name="input"/> in one to eight ways, perhaps with parts of <paramref name="other"/>.</summary>
    public byte[] Mutate(byte[] input, byte[] other)
    {
        var bytes = new List<byte>(input);
        for (var changes = 1 << random.Next(4); changes > 0; changes--) Change(bytes, other);
        return [.. bytes];
    }

    private void Change(List<byte> bytes, byte[] other)
    {
        var at = random.Next(bytes.Count + 1);
        switch (random.Next(9))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << random.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = Interesting[random.Next(Interesting.Length)];
                break;
            case 2:
                bytes.Insert(at, Interesting[random.Next(Interesting.Length)]);
                break;
            case 3:
                bytes.RemoveRange(at, Math.Min(Length(), bytes.Count - at));
                break;
            case 4:
                bytes.InsertRange(at, bytes.GetRange(at, Math.Min(Length(), bytes.Count - at)));
                break;
            case 5 when other.Length > 0:
                var start = random.Next(other.Length);
                bytes.InsertRange(at, other.AsSpan(start, Math.Min(Length(), other.Length - start)).ToArray());
                break;
            case 6 when other.Length > 0:
                bytes.RemoveRange(at, bytes.Count - at);
                bytes.AddRange(other[random.Next(other.Length)..]);
                break;
            default:
                bytes.InsertRange(at, words[random.Next(words.Count)]);
                break;
        }
    }

    // Mostly short.
    private int Length() => 1 + random.Next(1 << random.Next(1, 9));
}
