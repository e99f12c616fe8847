using System.Buffers;
using System.Text;
using Cheops.Store.Table;

namespace Cheops.Tests.StoreHost;

/// <summary>A replicant table to kill and to starve.</summary>
internal static class TableHost
{
    /// <summary>Writes round after round until it is killed, and tells of each when it is durable.</summary>
    public static async Task<int> WriteAsync(string directory)
    {
        await using var table = FasterReplicantTable.Open(directory);
        await Console.Out.WriteLineAsync($"open {HostTable.RoundOf(table.Mark.Span)} {table.Damage}");
        for (var round = HostTable.RoundOf(table.Mark.Span) + 1; ; round++)
        {
            foreach (var (key, value) in HostTable.Round(round))
            {
                if (value is null) table.Remove(key);
                else table.Put(key, value);
            }

            await table.CheckpointAsync(HostTable.Mark(round));
            await Console.Out.WriteLineAsync($"ack {round}");
        }
    }

    /// <summary>Writes until the disk is full, reads all of it, makes room by removing a file, and writes again.</summary>
    public static async Task<int> FillAsync(string directory)
    {
        var ballast = Path.Combine(directory, "ballast");
        await File.WriteAllBytesAsync(ballast, new byte[9 * 1024 * 1024]);
        await using var table = FasterReplicantTable.Open(directory);
        var count = 0;
        try
        {
            for (; ; count++) table.Put(Key(count), HostTable.Value(count, 500));
        }
        catch (TableException e) when (e.Error == TableError.Full)
        {
            await Console.Out.WriteLineAsync($"full {count} {e.Message}");
        }

        await table.CheckpointAsync(HostTable.Mark(1));
        for (var i = 0; i < count; i++)
        {
            var value = new ArrayBufferWriter<byte>();
            if (!table.TryGet(Key(i), value) || !value.WrittenSpan.SequenceEqual(HostTable.Value(i, 500))) return 1;
        }

        File.Delete(ballast);
        for (var i = 0; i < 2000; i++) table.Put(Key(i), HostTable.Value(i, 600));
        await table.CheckpointAsync(HostTable.Mark(2));
        await Console.Out.WriteLineAsync("recovered");
        return 0;
    }

    private static byte[] Key(int index) => Encoding.ASCII.GetBytes($"key-{index}");
}
