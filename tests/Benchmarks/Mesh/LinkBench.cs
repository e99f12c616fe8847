using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Cheops.Agent.Mesh;
using Cheops.Agent.Mesh.Nats;
using NATS.Client.Core;

namespace Cheops.Tests.Benchmarks.Mesh;

/// <summary>
/// What a stream over a link costs beside what NATS itself costs, over the same two nats-servers and the same leaf link:
/// small requests with their answers, and a gigabyte. Both agents are in this process. <c>link [megabytes]</c>.
/// </summary>
internal sealed class LinkBench : IAsyncDisposable
{
    private const int ChunkSize = 64 * 1024;
    private readonly string _directory = Directory.CreateTempSubdirectory("cheops-bench-").FullName;
    private NatsMesh? _one;
    private NatsMesh? _two;
    private NatsConnection? _bareOne;
    private NatsConnection? _bareTwo;

    /// <summary>Runs everything, three times, and prints it.</summary>
    public static async Task RunAsync(int megabytes)
    {
        await using var bench = new LinkBench();
        await bench.StartAsync();
        Console.WriteLine($"{"",-44}{"NATS",12}{"stream",12}{"ratio",8}");
        for (var round = 0; round < 3; round++)
        {
            foreach (var atOnce in (int[])[1, 64])
            {
                var bare = await RateAsync(atOnce, bench.BareRequestAsync);
                var stream = await RateAsync(atOnce, bench.StreamRequestAsync);
                Console.WriteLine($"{$"128 B and back, {atOnce} at once, µs each",-44}{1e6 / bare,12:0}{1e6 / stream,12:0}{bare / stream,8:0.00}");
            }

            var copied = await bench.CopyBareAsync(megabytes);
            var streamed = await bench.CopyStreamAsync(megabytes);
            Console.WriteLine($"{$"{megabytes} MB, MB/s",-44}{copied,12:0}{streamed,12:0}{copied / streamed,8:0.00}");
        }

        Console.WriteLine($"process: {Environment.WorkingSet >> 20} MB resident");
    }

    private static async Task<double> RateAsync(int atOnce, Func<Task> request)
    {
        await request();
        var count = 0;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, atOnce).Select(async _ =>
        {
            while (Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(3))
            {
                await request();
                Interlocked.Increment(ref count);
            }
        }));
        return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private async Task StartAsync()
    {
        var (port1, port2) = (FreePort(), FreePort());
        _one = Make("Site1", "Site2", port1, port2);
        _two = Make("Site2", "Site1", port2, port1);
        _two.Node.StreamHandler = AnswerAsync;
        await Task.WhenAll(_one.StartAsync(), _two.StartAsync());
        while (_one.Node.Sites[1].State != SiteState.Up || _two.Node.Sites[1].State != SiteState.Up) await Task.Delay(50);
        _bareOne = await ConnectAsync("Site1", "Site2");
        _bareTwo = await ConnectAsync("Site2", "Site1");
        _ = ServeBareAsync(_bareTwo);
        while (!await IsServedAsync()) await Task.Delay(50);
    }

    private NatsMesh Make(string site, string other, int port, int otherPort) => new(
        new MeshOptions
        {
            Site = site,
            Peers = [new MeshPeer(other, "127.0.0.1", otherPort)],
            Listen = new IPEndPoint(IPAddress.Loopback, port),
            Directory = Path.Combine(_directory, site),
        },
        TimeProvider.System,
        (_, _) => { });

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // Beside the agent's own connection, in the same account and so over the same leaf link.
    private async Task<NatsConnection> ConnectAsync(string site, string peer)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(_directory, site, "nats-server.conf"));
        var port = text.Split("listen: \"127.0.0.1:")[1].Split('"')[0];
        var password = text.Split("password: \"")[1].Split('"')[0];
        var connection = new NatsConnection(NatsOpts.Default with
        {
            Url = $"nats://127.0.0.1:{port}",
            AuthOpts = new NatsAuthOpts { Username = "link_" + peer, Password = password },
            SubPendingChannelCapacity = 4096,
            SubPendingChannelFullMode = BoundedChannelFullMode.Wait,
        });
        await connection.ConnectAsync();
        return connection;
    }

    private static async Task ServeBareAsync(NatsConnection connection)
    {
        await foreach (var message in connection.SubscribeAsync<byte[]>("bench.*")) await message.ReplyAsync(message.Data!.Length > 128 ? [] : message.Data);
    }

    // The subscription crosses the leaf link some time after it was made.
    private async Task<bool> IsServedAsync()
    {
        try
        {
            await BareRequestAsync();
            return true;
        }
        catch (NatsNoRespondersException)
        {
            return false;
        }
    }

    private async Task BareRequestAsync() => await _bareOne!.RequestAsync<byte[], byte[]>("bench.small", new byte[128]);

    private async Task StreamRequestAsync()
    {
        await using var channel = _one!.Node.OpenStream("Site2", new StreamOpening { Service = "bench" });
        await channel.Output.WriteAsync(new byte[128]);
        await channel.CompleteOutputAsync();
        await DrainAsync(channel);
    }

    private static async Task AnswerAsync(InboundStream inbound)
    {
        await using var channel = inbound.Channel;
        var size = await DrainAsync(channel);
        await channel.Output.WriteAsync(new byte[Math.Min(size, 128)]);
        await channel.CompleteOutputAsync();
    }

    private static async Task<long> DrainAsync(Agent.Transport.Channel channel)
    {
        long size = 0;
        while (true)
        {
            var read = await channel.Input.ReadAsync();
            size += read.Buffer.Length;
            channel.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return size;
        }
    }

    // Chunks that are each acknowledged, sixteen in flight: without acknowledgements NATS loses some.
    private async Task<double> CopyBareAsync(int megabytes)
    {
        var chunk = new byte[ChunkSize];
        var left = megabytes * 16;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0) await _bareOne!.RequestAsync<byte[], byte[]>("bench.large", chunk);
        }));
        return megabytes / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private async Task<double> CopyStreamAsync(int megabytes)
    {
        var chunk = new byte[ChunkSize];
        var started = Stopwatch.GetTimestamp();
        await using var channel = _one!.Node.OpenStream("Site2", new StreamOpening { Service = "bench" });
        for (var i = 0; i < megabytes * 16; i++) await channel.Output.WriteAsync(chunk);
        await channel.CompleteOutputAsync();
        await DrainAsync(channel);
        return megabytes / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Runs it from the command line.</summary>
    public static Task RunAsync(string[] args) => RunAsync(args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 1024);

    public async ValueTask DisposeAsync()
    {
        if (_bareOne is not null) await _bareOne.DisposeAsync();
        if (_bareTwo is not null) await _bareTwo.DisposeAsync();
        if (_one is not null) await _one.DisposeAsync();
        if (_two is not null) await _two.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
