using Cheops.Proto.Operations;

namespace Cheops.Tests.StoreHost;

/// <summary>Records that tell whether they are whole.</summary>
public static class HostRecords
{
    /// <summary>How many groups append.</summary>
    public const int Groups = 4;

    /// <summary>The record with this index: its size and bytes follow from it.</summary>
    public static LogRecord Make(int group, ulong index) => new()
    {
        Group = new GroupId((ulong)group + 1),
        Kind = 1,
        Index = index,
        Term = 1,
        Payload = Payload(index),
    };

    /// <summary>Whether a record carries what <see cref="Make"/> gave it.</summary>
    public static bool IsWhole(in LogRecord record, ReadOnlySpan<byte> payload) => payload.SequenceEqual(Payload(record.Index));

    private static byte[] Payload(ulong index)
    {
        var bytes = new byte[index * 37 % 3000];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)((ulong)i + index);
        return bytes;
    }
}
