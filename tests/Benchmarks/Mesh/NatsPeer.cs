using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using NATS.Client.Core;

namespace Cheops.Tests.Benchmarks.Mesh;

/// <summary>
/// What a careful program gets from NATS itself, with the client that the agent uses: the peer beside which scripts/bench
/// measures links. One process answers and another asks, as two agents would. <c>nats answer URL SUBJECT</c>,
/// <c>nats ask URL SUBJECT SECONDS AT-ONCE</c>, <c>nats copy URL SUBJECT MEGABYTES</c>; the last two print JSON.
/// </summary>
internal static class NatsPeer
{
    // What a small HTTP request takes, and an answer of 128 bytes, with their fields.
    private const int MessageSize = 350;
    private const int ChunkSize = 64 * 1024;
    private const int ChunksInFlight = 32;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ServedWithin = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ServedPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Runs it from the command line.</summary>
    public static async Task RunAsync(string[] args)
    {
        await using var connection = new NatsConnection(NatsOpts.Default with
        {
            Url = args[1],
            SubPendingChannelCapacity = 4096,
            SubPendingChannelFullMode = BoundedChannelFullMode.Wait,
        });
        await connection.ConnectAsync();
        var subject = args[2];
        switch (args[0])
        {
            case "answer":
                await AnswerAsync(connection, subject);
                break;
            case "ask":
                await AskAsync(connection, subject, TimeSpan.FromSeconds(Number(args[3])), Number(args[4]));
                break;
            case "copy":
                await CopyAsync(connection, subject, Number(args[3]));
                break;
            default:
                throw new ArgumentException($"'{args[0]}' is none of: answer, ask, copy");
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    // Until the process is ended. A chunk is acknowledged; its bytes come in memory that is used again.
    private static async Task AnswerAsync(NatsConnection connection, string subject)
    {
        var answer = new byte[MessageSize];
        await foreach (var message in connection.SubscribeAsync<NatsMemoryOwner<byte>>(subject))
        {
            using var data = message.Data;
            await message.ReplyAsync(data.Length <= MessageSize ? answer : []);
        }
    }

    private static async Task AskAsync(NatsConnection connection, string subject, TimeSpan time, int atOnce)
    {
        await ServedAsync(connection, subject);
        await AskForAsync(connection, subject, WarmUp, atOnce);
        var started = Stopwatch.GetTimestamp();
        var times = await AskForAsync(connection, subject, time, atOnce);
        var rate = times.Length / Stopwatch.GetElapsedTime(started).TotalSeconds;
        Array.Sort(times);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $$"""{"p50_s": {{times[times.Length / 2].TotalSeconds}}, "per_second": {{rate}}}"""));
    }

    private static async Task<TimeSpan[]> AskForAsync(NatsConnection connection, string subject, TimeSpan time, int atOnce)
    {
        var payload = new byte[MessageSize];
        var started = Stopwatch.GetTimestamp();
        var all = await Task.WhenAll(Enumerable.Range(0, atOnce).Select(async _ =>
        {
            var times = new List<TimeSpan>();
            while (Stopwatch.GetElapsedTime(started) < time)
            {
                var begun = Stopwatch.GetTimestamp();
                await RequestAsync(connection, subject, payload);
                times.Add(Stopwatch.GetElapsedTime(begun));
            }

            return times;
        }));
        return [.. all.SelectMany(static times => times)];
    }

    // Each chunk is acknowledged: without acknowledgements NATS loses some.
    private static async Task CopyAsync(NatsConnection connection, string subject, int megabytes)
    {
        await ServedAsync(connection, subject);
        var chunk = new byte[ChunkSize];
        var left = megabytes * ((1 << 20) / ChunkSize);
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, ChunksInFlight).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0) await RequestAsync(connection, subject, chunk);
        }));
        var rate = megabytes * (double)(1 << 20) / Stopwatch.GetElapsedTime(started).TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $$"""{"bytes_per_second": {{rate}}}"""));
    }

    private static async Task RequestAsync(NatsConnection connection, string subject, byte[] payload)
    {
        var answer = await connection.RequestAsync<byte[], NatsMemoryOwner<byte>>(subject, payload);
        answer.Data.Dispose();
    }

    // The servers join, and the subscription crosses the leaf link, some time after both were started.
    private static async Task ServedAsync(NatsConnection connection, string subject)
    {
        for (var started = Stopwatch.GetTimestamp(); ; await Task.Delay(ServedPause))
        {
            try
            {
                await RequestAsync(connection, subject, new byte[MessageSize]);
                return;
            }
            catch (NatsNoRespondersException) when (Stopwatch.GetElapsedTime(started) < ServedWithin)
            {
                // Not yet.
            }
        }
    }
}
