using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Cheops.Proto.Operations;

/// <summary>Names a replicant group: 128 bits that every member derives from the group's founding record.</summary>
/// <param name="Value">The bits; zero names no group.</param>
public readonly record struct GroupId(UInt128 Value) : IComparable<GroupId>
{
    /// <summary>Bytes of a written id.</summary>
    public const int Size = 16;

    /// <summary>The id of the group of a set of sites: the first half of the SHA-256 of their names, each followed by a zero byte.</summary>
    /// <param name="sites">Names in ordinal order, each once.</param>
    public static GroupId Of(ReadOnlySpan<string> sites)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var site in sites)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(site));
            hash.AppendData([0]);
        }

        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(digest);
        return Read(digest);
    }

    /// <summary>Writes the id, least significant byte first.</summary>
    public void Write(Span<byte> to) => BinaryPrimitives.WriteUInt128LittleEndian(to, Value);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static GroupId Read(ReadOnlySpan<byte> from) => new(BinaryPrimitives.ReadUInt128LittleEndian(from));

    /// <inheritdoc/>
    public int CompareTo(GroupId other) => Value.CompareTo(other.Value);

    /// <summary>Whether one id comes before another.</summary>
    public static bool operator <(GroupId left, GroupId right) => left.Value < right.Value;

    /// <summary>Whether one id comes after another.</summary>
    public static bool operator >(GroupId left, GroupId right) => left.Value > right.Value;

    /// <summary>Whether one id comes before another or is the same.</summary>
    public static bool operator <=(GroupId left, GroupId right) => left.Value <= right.Value;

    /// <summary>Whether one id comes after another or is the same.</summary>
    public static bool operator >=(GroupId left, GroupId right) => left.Value >= right.Value;

    /// <summary>Thirty-two hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", null);
}
