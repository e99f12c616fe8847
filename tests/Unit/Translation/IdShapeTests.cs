using System.Text.RegularExpressions;
using Cheops.Agent.Translation;
using CsCheck;

namespace Cheops.Tests.Unit.Translation;

public sealed class IdShapeTests
{
    [Theory]
    [InlineData("3d2f9f6e-1c50-4a51-9c0e-8d3a4f1b2c3d", IdKind.Uuid)]
    [InlineData("3D2F9F6E-1C50-4A51-9C0E-8D3A4F1B2C3D", IdKind.Uuid)]
    [InlineData("{d2f9f6e-1c50-4a51-9c0e-8d3a4f1b2c3d", IdKind.Name)]
    [InlineData("3d2f9f6e1c504a519c0e8d3a4f1b2c3d", IdKind.CompactUuid)]
    [InlineData("3d2f9f6e1c504a519c0e8d3a4f1b2c3g", IdKind.Name)]
    [InlineData("0", IdKind.Number)]
    [InlineData("9223372036854775807", IdKind.Number)]
    [InlineData("9223372036854775808", IdKind.Name)]
    [InlineData("07", IdKind.Name)]
    [InlineData("-7", IdKind.Name)]
    [InlineData("", IdKind.Name)]
    [InlineData("web-1", IdKind.Name)]
    public void Tells_shapes(string id, IdKind kind) => Assert.Equal(kind, IdShape.Of(id));

    [Fact]
    public void Makes_ids_of_the_shape_and_different_ones_from_different_bytes()
    {
        var bytes = Gen.Byte.Array[16];
        Gen.Select(Gen.Enum<IdKind>(), bytes, bytes).Sample((kind, one, other) =>
        {
            var id = IdShape.Make(kind, one);
            Assert.Equal(kind, IdShape.Of(id));
            Assert.Equal(id, IdShape.Make(kind, one));
            Assert.True(kind is IdKind.Number or IdKind.Uuid or IdKind.CompactUuid || one.SequenceEqual(other) == (id == IdShape.Make(kind, other)));
            if (kind == IdKind.Name) Assert.Matches(new Regex("^[a-h][a-z0-9]{25}$"), id);
            if (kind == IdKind.Number) Assert.InRange(long.Parse(id, null), 1L << 40, (1L << 53) - 1);
            if (kind == IdKind.Uuid) Assert.Matches(new Regex("^.{14}4.{4}[89ab]"), id);
        });
        Assert.Equal("1099511627776", IdShape.Make(IdKind.Number, new byte[16]));
        Assert.Throws<ArgumentOutOfRangeException>(() => IdShape.Make(IdKind.Uuid, new byte[15]));
    }
}
