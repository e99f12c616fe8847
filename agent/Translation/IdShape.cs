using System.Buffers.Binary;
using System.Globalization;

namespace Cheops.Agent.Translation;

/// <summary>The shapes that ids have.</summary>
public enum IdKind
{
    /// <summary>Anything else.</summary>
    Name,
    /// <summary>A UUID with dashes, 8-4-4-4-12.</summary>
    Uuid,
    /// <summary>A UUID without dashes: 32 hexadecimal digits.</summary>
    CompactUuid,
    /// <summary>A whole number in plain digits that 64 bits can hold.</summary>
    Number,
}

/// <summary>Tells the shape of an id, and makes a meta-id of the same shape.</summary>
public static class IdShape
{
    /// <summary>
    /// Smallest number that stands for a replicant: above the ids that a site's own counter reaches. The largest is
    /// 2^53-1, since JavaScript reads larger ones inexactly.
    /// </summary>
    public const long NumberMin = 1L << 40;

    private const int GeneratedLength = 10;
    private const long NumberMax = (1L << 53) - 1;

    /// <summary>The shape of an id.</summary>
    public static IdKind Of(ReadOnlySpan<char> id)
    {
        if (id.Length is > 0 and <= 19 && id.IndexOfAnyExceptInRange('0', '9') < 0 && (id[0] != '0' || id.Length == 1))
            return long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? IdKind.Number : IdKind.Name;
        return id.Length switch
        {
            36 when Guid.TryParseExact(id, "D", out _) => IdKind.Uuid,
            32 when Guid.TryParseExact(id, "N", out _) => IdKind.CompactUuid,
            _ => IdKind.Name,
        };
    }

    /// <summary>Whether an id is a number as <see cref="Make"/> makes them: larger than services choose.</summary>
    public static bool IsMadeNumber(ReadOnlySpan<char> id) => Of(id) == IdKind.Number && long.Parse(id, CultureInfo.InvariantCulture) >= NumberMin;

    /// <summary>Makes a meta-id: another one for other bytes, except that numbers have room for 53 bits alone.</summary>
    /// <param name="kind">Its shape; a name has 26 letters and digits, and is a DNS label.</param>
    /// <param name="random">16 bytes of chance.</param>
    public static string Make(IdKind kind, ReadOnlySpan<byte> random)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(random.Length, 16);
        return kind switch
        {
            IdKind.Uuid => Uuid(random).ToString("D", CultureInfo.InvariantCulture),
            IdKind.CompactUuid => Uuid(random).ToString("N", CultureInfo.InvariantCulture),
            IdKind.Number => Number(random).ToString(CultureInfo.InvariantCulture),
            _ => Name(BinaryPrimitives.ReadUInt128BigEndian(random)),
        };
    }

    /// <summary>
    /// Makes a name that begins as a client asked for: ten letters and digits more, where a Kubernetes API server puts five,
    /// so that no name that one of them makes is the same; at most 63 in all, a DNS label where the prefix is one.
    /// </summary>
    /// <param name="prefix">What it begins with.</param>
    /// <param name="random">16 bytes of chance.</param>
    public static string MakeName(string prefix, ReadOnlySpan<byte> random) =>
        prefix[..Math.Min(prefix.Length, 63 - GeneratedLength)] + Make(IdKind.Name, random)[^GeneratedLength..];

    // Version 4 of RFC 9562.
    private static Guid Uuid(ReadOnlySpan<byte> random)
    {
        Span<byte> bytes = stackalloc byte[16];
        random.CopyTo(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }

    private static long Number(ReadOnlySpan<byte> random) =>
        NumberMin + (long)(BinaryPrimitives.ReadUInt64BigEndian(random) % (ulong)(NumberMax - NumberMin + 1));

    // Five bits a letter; the first is one of eight, none of them a digit.
    private static string Name(UInt128 value) => string.Create(26, value, static (name, left) =>
    {
        for (var i = name.Length - 1; i >= 0; i--, left >>= 5)
            name[i] = "abcdefghjkmnpqrstvwxyz0123456789"[(int)(left & 31)];
    });
}
