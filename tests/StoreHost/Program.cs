using System.Diagnostics;
using System.Globalization;
using Cheops.Proto.Operations;
using Cheops.Store.Log;
using Cheops.Tests.StoreHost;

// A process around a part of the store, for tests to kill, starve and measure.
return args switch
{
    ["append", var directory] => await Append(directory),
    ["fill", var directory] => await Fill(directory),
    ["bench", var directory, var writers, var milliseconds] =>
        await Bench(directory, int.Parse(writers, CultureInfo.InvariantCulture), int.Parse(milliseconds, CultureInfo.InvariantCulture)),
    ["table", var directory] => await TableHost.WriteAsync(directory),
    ["table-fill", var directory] => await TableHost.FillAsync(directory),
    ["table-bench", var directory, var keys] => await TableBench.OpenAsync(directory, int.Parse(keys, CultureInfo.InvariantCulture)),
    ["table-updates", var directory, var updates, var keys] =>
        await TableBench.UpdateAsync(directory, int.Parse(updates, CultureInfo.InvariantCulture), int.Parse(keys, CultureInfo.InvariantCulture)),
    ["contents", var directory] => await ContentHost.KeepAsync(directory),
    ["contents-fill", var directory] => await ContentHost.FillAsync(directory),
    ["groups", var directory, var acknowledged] => await GroupRuns.ProposeAsync(directory, acknowledged),
    ["groups-bench", var directory, var writers, var milliseconds] =>
        await GroupRuns.BenchAsync(directory, int.Parse(writers, CultureInfo.InvariantCulture), int.Parse(milliseconds, CultureInfo.InvariantCulture)),
    _ => 64,
};

// Appends to a few groups until it is killed, and tells of each record when it is durable.
static async Task<int> Append(string directory)
{
    var last = new ulong[HostRecords.Groups];
    await using var log = FasterOperationLog.Open(
        directory, (long _, in LogRecord record, ReadOnlySpan<byte> _) => last[(int)record.Group.Value - 1] = record.Index);
    await Console.Out.WriteLineAsync($"open {log.Recovery.Records} {log.Recovery.Damage}");
    await Task.WhenAll(Enumerable.Range(0, HostRecords.Groups).Select(async group =>
    {
        await Task.Yield();
        var oldest = new Queue<long>();
        for (var index = last[group] + 1; ; index++)
        {
            var position = await log.AppendAsync(HostRecords.Make(group, index));
            await log.WaitDurableAsync(position);
            await Console.Out.WriteLineAsync($"ack {group} {index}");
            if (group > 0) continue;
            oldest.Enqueue(position);
            if (oldest.Count < 60) continue;
            await log.TruncateAsync(oldest.Dequeue());
        }
    }));
    return 0;
}

// Appends until the disk is full, reads all of it, lets go of it and appends again.
static async Task<int> Fill(string directory)
{
    await using var log = FasterOperationLog.Open(directory);
    var positions = new List<long>();
    try
    {
        while (true) positions.Add(await log.AppendAsync(HostRecords.Make(1, (ulong)positions.Count + 1)));
    }
    catch (OperationLogException e) when (e.Error == OperationLogError.Full)
    {
        await Console.Out.WriteLineAsync($"full {positions.Count} {e.Message}");
    }

    for (var i = 0; i < positions.Count; i++)
    {
        var record = await log.ReadAsync(positions[i]);
        if (!HostRecords.IsWhole(record, record.Payload.Span) || record.Index != (ulong)i + 1) return 1;
    }

    await log.TruncateAsync(log.DurableUntil);
    for (var i = 0; i < positions.Count / 2; i++) await AppendWhenThereIsRoom(log, HostRecords.Make(1, (ulong)i + 1));
    await Console.Out.WriteLineAsync("recovered");
    return 0;
}

// The old segments go when the commit after the truncation is done: until then an append is refused, as it should be.
static async Task AppendWhenThereIsRoom(FasterOperationLog log, LogRecord record)
{
    for (var waited = Stopwatch.StartNew(); ;)
    {
        try
        {
            await log.WaitDurableAsync(await log.AppendAsync(record));
            return;
        }
        catch (OperationLogException e) when (e.Error == OperationLogError.Full && waited.Elapsed < TimeSpan.FromSeconds(20))
        {
            await Task.Delay(5);
        }
    }
}

// Appends from many writers, each waiting for its record, and tells how many became durable in a second.
static async Task<int> Bench(string directory, int writers, int milliseconds)
{
    var opening = Stopwatch.StartNew();
    await using var log = FasterOperationLog.Open(directory);
    var opened = opening.Elapsed;
    var watch = Stopwatch.StartNew();
    var counts = await Task.WhenAll(Enumerable.Range(0, writers).Select(async writer =>
    {
        await Task.Yield();
        var payload = new byte[256];
        var count = 0UL;
        while (watch.ElapsedMilliseconds < milliseconds)
        {
            await log.WaitDurableAsync(await log.AppendAsync(
                new LogRecord { Group = new GroupId((ulong)writer + 1), Kind = 1, Index = ++count, Payload = payload }));
        }

        return count;
    }));
    var perSecond = counts.Aggregate(0UL, (a, b) => a + b) / watch.Elapsed.TotalSeconds;
    await Console.Out.WriteLineAsync(string.Create(
        CultureInfo.InvariantCulture,
        $"{log.Recovery.Records} records opened in {opened.TotalMilliseconds:F0} ms; {writers} writers: {perSecond:F0} durable records/s; RSS {Environment.WorkingSet / 1048576} MB"));
    return 0;
}
