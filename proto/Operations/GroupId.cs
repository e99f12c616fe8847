using System.Buffers.Binary;

namespace Cheops.Proto.Operations;

/// <summary>Names a replicant group: 128 bits that every member derives from the group's founding record.</summary>
/// <param name="Value">The bits; zero names no group.</param>
public readonly record struct GroupId(UInt128 Value) : IComparable<GroupId>
{
    /// <summary>Bytes of a written id.</summary>
    public const int Size = 16;

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
