using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Cheops.Store.Table;

namespace Cheops.Tests.StoreHost;

/// <summary>What a replicant table costs.</summary>
internal static class TableBench
{
    // With a key of 60 bytes about 250 bytes: a replicant of three sites.
    private const int ValueSize = 190;

    /// <summary>Fills a table that is empty; tells of one that is not how long its opening took, and what look-ups cost.</summary>
    public static async Task<int> OpenAsync(string directory, int keys)
    {
        var before = Environment.WorkingSet;
        var watch = Stopwatch.StartNew();
        await using var table = FasterReplicantTable.Open(directory);
        var opened = watch.Elapsed;
        if (table.Count == 0 && keys > 0)
        {
            for (var i = 0; i < keys; i++) table.Put(Key(i), HostTable.Value(i, ValueSize));
            await table.CheckpointAsync(HostTable.Mark(1));
            await TellAsync($"{keys} keys written in {watch.Elapsed.TotalSeconds:F1} s; RSS {Megabytes(Environment.WorkingSet)} MiB; disk {Megabytes(table.DiskBytes)} MiB");
            return table.Damage is null ? 0 : 1;
        }

        await TellAsync(
            $"{table.Count} keys opened in {opened.TotalMilliseconds:F0} ms {table.Damage}; RSS {Megabytes(Environment.WorkingSet)} MiB ({Megabytes(before)} before); disk {Megabytes(table.DiskBytes)} MiB");
        LookUp(table, (int)table.Count);
        return 0;
    }

    private static void LookUp(FasterReplicantTable table, int count)
    {
        const int Rounds = 200_000;
        var absent = Enumerable.Range(0, 1000).Select(i => Key(i + count)).ToArray();
        var present = Enumerable.Range(0, 1000).Select(i => Key((int)(i * 7919L % Math.Max(1, count)))).ToArray();
        var found = 0;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Rounds; i++) found += table.MayHold(absent[i % absent.Length]) ? 1 : 0;
        var missing = watch.Elapsed;
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        var value = new ArrayBufferWriter<byte>();
        watch.Restart();
        for (var i = 0; i < Rounds / 10; i++)
        {
            value.ResetWrittenCount();
            table.TryGet(present[i % present.Length], value);
        }

        Tell(string.Create(
            CultureInfo.InvariantCulture,
            $"not there: {missing.TotalNanoseconds / Rounds:F0} ns, {allocated} bytes allocated, {found} of {Rounds} doubtful; read: {watch.Elapsed.TotalMicroseconds * 10 / Rounds:F1} us; RSS {Megabytes(Environment.WorkingSet)} MiB"));
    }

    /// <summary>Updates few keys often, with values of changing size, and tells what disk that takes.</summary>
    public static async Task<int> UpdateAsync(string directory, int updates, int keys)
    {
        await using var table = FasterReplicantTable.Open(directory);
        var watch = Stopwatch.StartNew();
        var most = 0L;
        for (var i = 0; i < updates; i++)
        {
            table.Put(Key(i % keys), HostTable.Value(i, ValueSize + (i % 16)));
            if (i % 10_000 != 9_999) continue;
            most = Math.Max(most, table.DiskBytes);
            await table.CheckpointAsync(HostTable.Mark(i));
        }

        await TellAsync(
            $"{updates} updates of {keys} keys in {watch.Elapsed.TotalSeconds:F1} s; disk {Megabytes(table.DiskBytes)} MiB, at most {Megabytes(most)} MiB; RSS {Megabytes(Environment.WorkingSet)} MiB");
        return 0;
    }

    private static byte[] Key(int index) => Encoding.ASCII.GetBytes($"R0123456789abcdef/shop/orders/{index.ToString("D30", CultureInfo.InvariantCulture)}");

    private static string Megabytes(long bytes) => (bytes / 1048576.0).ToString("F1", CultureInfo.InvariantCulture);

    private static Task TellAsync(FormattableString text) => Console.Out.WriteLineAsync(text.ToString(CultureInfo.InvariantCulture));

    private static void Tell(string text) => Console.Out.WriteLine(text);
}
