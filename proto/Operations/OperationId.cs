using System.Buffers.Binary;
using System.Globalization;

namespace Cheops.Proto.Operations;

/// <summary>Names an operation: 128 random bits, drawn where the request came in, so that a repeated proposal is known as the same.</summary>
/// <param name="Value">The bits; zero names none.</param>
public readonly record struct OperationId(UInt128 Value)
{
    /// <summary>Bytes of a written id.</summary>
    public const int Size = 16;

    /// <summary>Writes the id, least significant byte first.</summary>
    public void Write(Span<byte> to) => BinaryPrimitives.WriteUInt128LittleEndian(to, Value);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    public static OperationId Read(ReadOnlySpan<byte> from) => new(BinaryPrimitives.ReadUInt128LittleEndian(from));

    /// <summary>Reads thirty-two hexadecimal digits.</summary>
    public static bool TryParse(string text, out OperationId id)
    {
        var parsed = text.Length == 32 && UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : UInt128.Zero;
        id = new OperationId(parsed);
        return parsed != UInt128.Zero;
    }

    /// <summary>Thirty-two hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);
}
