using System.Globalization;
using Cheops.Proto.Operations;

namespace Cheops.Raft.Protocol;

/// <summary>Tells the durable data of a site from others of the same site, in frames and records.</summary>
/// <param name="Value">128 bits of the random name's SHA-256; zero when it is not known.</param>
internal readonly record struct Incarnation(UInt128 Value)
{
    /// <summary>Bytes of a written incarnation.</summary>
    public const int Size = 16;

    /// <summary>Whether nothing is known.</summary>
    public bool IsUnknown => Value == UInt128.Zero;

    /// <summary>Of the random name that the mesh tells; an empty one is not known.</summary>
    public static Incarnation Of(string name) => name.Length == 0 ? default : new(GroupId.Of([name]).Value);

    /// <summary>Writes it, least significant byte first.</summary>
    public void Write(Span<byte> to) => new GroupId(Value).Write(to);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static Incarnation Read(ReadOnlySpan<byte> from) => new(GroupId.Read(from).Value);

    /// <summary>The first eight hexadecimal digits, for a person.</summary>
    public override string ToString() => IsUnknown ? "unknown" : Value.ToString("x32", CultureInfo.InvariantCulture)[..8];
}
