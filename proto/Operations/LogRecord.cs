using System.Buffers.Binary;

namespace Cheops.Proto.Operations;

/// <summary>What reading a record gave.</summary>
public enum LogRecordStatus : byte
{
    /// <summary>A record, whole and unchanged.</summary>
    Understood,
    /// <summary>Too short for a header, or the length it tells is not the length it has.</summary>
    Length,
    /// <summary>The checksum differs: bytes changed, or were never written.</summary>
    Checksum,
    /// <summary>Written by a newer Cheops: intact, but of a version that is not understood.</summary>
    NewerVersion,
}

/// <summary>
/// One record of the operation log, which holds the records of all groups of a site. <c>LAYOUT.md</c> beside this file
/// draws its bytes.
/// </summary>
/// <remarks>
/// Index and term are the group's and mean to the log nothing; <see cref="Sequence"/> is the log's own: consecutive over
/// all groups, so that a record that is missing is noticed even where its neighbours are intact.
/// </remarks>
public readonly record struct LogRecord
{
    /// <summary>The version written.</summary>
    public const byte Version = 1;

    /// <summary>Bytes before the payload.</summary>
    public const int HeaderSize = 52;

    /// <summary>The group it belongs to.</summary>
    public required GroupId Group { get; init; }

    /// <summary>What it is to its group; 0 is never written.</summary>
    public required byte Kind { get; init; }

    /// <summary>Its place in the group's own log.</summary>
    public ulong Index { get; init; }

    /// <summary>The term in which the group's leader made it.</summary>
    public ulong Term { get; init; }

    /// <summary>Its number in the site's log; the log gives it.</summary>
    public ulong Sequence { get; init; }

    /// <summary>What it carries; at most <see cref="Bounds.LogPayloadSizeMax"/> bytes.</summary>
    public ReadOnlyMemory<byte> Payload { get; init; }

    /// <summary>Bytes of the written record.</summary>
    public int Size => HeaderSize + Payload.Length;

    /// <summary>Writes the record, checksum and all, to the first <see cref="Size"/> bytes of <paramref name="to"/>.</summary>
    public void Write(Span<byte> to)
    {
        to = to[..Size];
        BinaryPrimitives.WriteInt32LittleEndian(to[4..], Payload.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], Sequence);
        Group.Write(to[16..]);
        BinaryPrimitives.WriteUInt64LittleEndian(to[32..], Index);
        BinaryPrimitives.WriteUInt64LittleEndian(to[40..], Term);
        to[48] = Version;
        to[49] = Kind;
        to[50] = 0;
        to[51] = 0;
        Payload.Span.CopyTo(to[HeaderSize..]);
        BinaryPrimitives.WriteUInt32LittleEndian(to, Crc32C.Of(to[4..]));
    }

    /// <summary>Reads a record.</summary>
    /// <param name="bytes">The written record and nothing else.</param>
    /// <param name="record">The record; its payload is a part of <paramref name="bytes"/>.</param>
    public static LogRecordStatus Read(ReadOnlyMemory<byte> bytes, out LogRecord record)
    {
        var status = ReadHeader(bytes.Span, out record);
        if (status == LogRecordStatus.Understood) record = record with { Payload = bytes[HeaderSize..] };
        return status;
    }

    /// <summary>Checks a whole record and reads all of it but the payload.</summary>
    /// <param name="bytes">The written record and nothing else.</param>
    /// <param name="record">The record, without its payload.</param>
    public static LogRecordStatus ReadHeader(ReadOnlySpan<byte> bytes, out LogRecord record)
    {
        record = default;
        if (bytes.Length < HeaderSize) return LogRecordStatus.Length;
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]) != bytes.Length - HeaderSize) return LogRecordStatus.Length;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Crc32C.Of(bytes[4..])) return LogRecordStatus.Checksum;
        if (bytes[48] != Version) return LogRecordStatus.NewerVersion;
        record = new LogRecord
        {
            Sequence = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]),
            Group = GroupId.Read(bytes[16..]),
            Index = BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
            Term = BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
            Kind = bytes[49],
        };
        return LogRecordStatus.Understood;
    }
}
