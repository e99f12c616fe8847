using System.Buffers;
using Cheops.Agent.Transport;

namespace Cheops.Tests.Integration.Transport;

/// <summary>Bytes to send, and ways to read them.</summary>
internal static class Bytes
{
    public static byte[] Make(int size, int seed)
    {
        var bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>Fails with the first difference: an array of millions is not worth printing.</summary>
    public static void AssertSame(byte[] expected, byte[] actual)
    {
        var same = expected.AsSpan().CommonPrefixLength(actual);
        Assert.True(same == expected.Length && same == actual.Length, $"{actual.Length} of {expected.Length} bytes came, the first {same} as they were sent");
    }

    /// <summary>Reads up to the orderly end.</summary>
    public static async Task<byte[]> ReadAllAsync(Channel channel)
    {
        var all = new ArrayBufferWriter<byte>();
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            foreach (var piece in read.Buffer) all.Write(piece.Span);
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return all.WrittenSpan.ToArray();
        }
    }

    /// <summary>Reads <paramref name="size"/> bytes and leaves the rest.</summary>
    public static async Task<byte[]> ReadExactlyAsync(Channel channel, int size)
    {
        var all = new ArrayBufferWriter<byte>(size);
        while (all.WrittenCount < size)
        {
            var read = await channel.Input.ReadAsync();
            if (read.Buffer.IsEmpty) throw new EndOfStreamException($"the stream ended after {all.WrittenCount} of {size} bytes");
            var taken = read.Buffer.Slice(0, Math.Min(size - all.WrittenCount, read.Buffer.Length));
            foreach (var piece in taken) all.Write(piece.Span);
            channel.Input.AdvanceTo(taken.End);
        }

        return all.WrittenSpan.ToArray();
    }

    /// <summary>Reads until the channel breaks or ends, and tells which.</summary>
    public static async Task<(long Received, bool Lost)> ReadUntilLostAsync(Channel channel)
    {
        long received = 0;
        try
        {
            while (true)
            {
                var read = await channel.Input.ReadAsync();
                received += read.Buffer.Length;
                channel.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return (received, false);
            }
        }
        catch (IOException)
        {
            return (received, true);
        }
    }
}
