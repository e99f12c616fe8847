using System.Text;
using Cheops.Proto;
using Cheops.Proto.Operations;
using CsCheck;

namespace Cheops.Tests.Unit.Store.Log;

public sealed class LogRecordTests
{
    private static readonly Gen<LogRecord> Records =
        Gen.Select(Gen.ULong, Gen.ULong, Gen.ULong, Gen.ULong, Gen.Byte[1, 255], Gen.Byte.Array[0, 300]).Select(
            (group, index, term, sequence, kind, payload) => new LogRecord
            {
                Group = new GroupId(new UInt128(group, ~group)),
                Kind = kind,
                Index = index,
                Term = term,
                Sequence = sequence,
                Payload = payload,
            });

    private static byte[] Written(LogRecord record)
    {
        var bytes = new byte[record.Size];
        record.Write(bytes);
        return bytes;
    }

    [Fact]
    public void What_is_written_is_read() => Records.Sample(record =>
    {
        Assert.Equal(LogRecordStatus.Understood, LogRecord.Read(Written(record), out var read));
        Assert.Equal(record with { Payload = default }, read with { Payload = default });
        Assert.True(record.Payload.Span.SequenceEqual(read.Payload.Span));
    });

    [Fact]
    public void No_prefix_and_no_longer_text_is_a_record() => Records.Sample(
        record =>
        {
            var bytes = Written(record);
            for (var length = 0; length < bytes.Length; length++)
                Assert.NotEqual(LogRecordStatus.Understood, LogRecord.Read(bytes.AsMemory(0, length), out _));
            Assert.Equal(LogRecordStatus.Length, LogRecord.Read((byte[])[.. bytes, 0], out _));
        },
        iter: 50);

    [Fact]
    public void Every_flipped_bit_is_noticed() => Records.Sample(
        record =>
        {
            var bytes = Written(record);
            for (var bit = 0; bit < bytes.Length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.NotEqual(LogRecordStatus.Understood, LogRecord.Read(bytes, out _));
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        },
        iter: 50);

    [Fact]
    public void A_newer_version_is_told_from_damage()
    {
        var bytes = Written(new LogRecord { Group = new GroupId(1), Kind = 1 });
        bytes[48]++;
        Assert.Equal(LogRecordStatus.Checksum, LogRecord.Read(bytes, out _));
        BitConverter.TryWriteBytes(bytes, Crc32C.Of(bytes.AsSpan(4)));
        Assert.Equal(LogRecordStatus.NewerVersion, LogRecord.Read(bytes, out _));
    }

    [Fact]
    public void The_checksum_is_the_one_of_RFC_3720()
    {
        Assert.Equal(0xE3069283u, Crc32C.Of("123456789"u8));
        Assert.Equal(0x8A9136AAu, Crc32C.Of(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Of([.. Enumerable.Repeat((byte)0xFF, 32)]));
    }

    [Fact]
    public void The_layout_page_tells_the_offsets()
    {
        var bytes = Written(new LogRecord
        {
            Group = new GroupId(new UInt128(0x0F0E0D0C0B0A0908, 0x0706050403020100)),
            Kind = 7,
            Index = 0x11,
            Term = 0x22,
            Sequence = 0x33,
            Payload = Encoding.ASCII.GetBytes("ab"),
        });
        Assert.Equal(
            "02000000" + "3300000000000000" + "000102030405060708090A0B0C0D0E0F" + "1100000000000000" + "2200000000000000" + "01070000" + "6162",
            Convert.ToHexString(bytes.AsSpan(4)));
    }

    [Fact]
    public void Bounds_of_the_log_go_together()
    {
        Assert.True(Bounds.LogPayloadSizeMax + LogRecord.HeaderSize + 128 <= 1 << Bounds.LogPageSizeBits, "a record fits on a page");
        Assert.True(Bounds.BodyMemorySizeMax + Bounds.HeadSizeMax < Bounds.LogPayloadSizeMax, "an operation fits into a record");
        Assert.True(Bounds.LogInFlightSizeMax <= 1 << (Bounds.LogMemorySizeBits - 1), "what is in flight leaves room for a page turn");
        Assert.True(Bounds.LogSegmentSizeBits >= Bounds.LogPageSizeBits, "a page lies in one segment");
    }
}
