using System.Text;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Bodies, watches and upgrades across a link: streamed in constant memory, never held back, aborts told truthfully.</summary>
public sealed class StreamingTests
{
    private const long Gigabyte = 1024L * 1024 * 1024;
    private const long MemoryMax = 64L * 1024 * 1024;

    [Fact]
    public async Task FourGigabytesGoUpAndDownInConstantMemory()
    {
        const long size = 4 * Gigabyte;
        var part = new byte[256 * 1024];
        Random.Shared.NextBytes(part);
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            if (call.Method == "PUT")
            {
                var received = new Checked(part);
                await call.SkipBodyAsync(received.See);
                await call.AnswerAsync(200, $"{received.Size} {received.Wrong}");
                return;
            }

            await call.WriteAsync($"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            for (long sent = 0; sent < size; sent += part.Length) await call.Stream.WriteAsync(part);
        });
        var memory = new MemoryWatch(sites.Mesh.Sites);
        await using (var client = await RawClient.ConnectAsync(sites.At1))
        {
            await client.SendAsync($"PUT / HTTP/1.1\r\nHost: a\r\nScope: Site2\r\nContent-Length: {size}\r\n\r\n");
            for (long sent = 0; sent < size; sent += part.Length) await client.Stream.WriteAsync(part);
            var head = await client.AnswerAsync(TimeSpan.FromMinutes(2));
            Assert.Equal((200, "Site2", $"{size} 0"), (head.Status, head["Cheops-Site"], await client.BodyAsync(head)));

            var received = new Checked(part);
            await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nScope: Site2\r\n\r\n");
            Assert.Equal(size, await Wait.ForAsync(client.Reader.SkipBodyAsync(await client.AnswerAsync(), received.See), "the download", TimeSpan.FromMinutes(4)));
            Assert.Equal((size, 0), (received.Size, received.Wrong));
        }

        foreach (var (site, most) in await memory.StopAsync()) Assert.True(most < MemoryMax, $"{site} had {most / 1024} KiB");
    }

    [Fact]
    public async Task EveryLineOfAWatchComesAtOnce()
    {
        var next = new SemaphoreSlim(0);
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.BeginAsync(200);
            for (var i = 0; i < 20; i++)
            {
                await next.WaitAsync();
                await call.ChunkAsync($"line {i}\n");
            }

            await call.EndAsync();
        });
        foreach (var scope in new[] { "Site1", "Site2" })
        {
            await using var client = await RawClient.ConnectAsync(sites.At1);
            await client.SendAsync($"GET / HTTP/1.1\r\nHost: a\r\nScope: {scope}\r\n\r\n");
            Assert.Equal(200, (await client.AnswerAsync()).Status);
            for (var i = 0; i < 20; i++)
            {
                // The service writes a line only when the one before has arrived: held back, this would stand still.
                next.Release();
                Assert.NotNull(await Wait.ForAsync(client.Reader.ReadLineAsync(), "a chunk's size", TimeSpan.FromSeconds(10)));
                Assert.Equal($"line {i}", (await Wait.ForAsync(LineAsync(client), "a line", TimeSpan.FromSeconds(10))).TrimEnd('\r'));
                await client.Reader.ReadLineAsync();
            }

            Assert.Equal("0", await client.Reader.ReadLineAsync());
        }

        // A line of the watch ends with LF alone.
        static async Task<string> LineAsync(RawClient client)
        {
            var line = new StringBuilder();
            for (var i = 0; i < 8 && (line.Length == 0 || line[^1] != '\n'); i++) line.Append((char)await client.Reader.ReadByteAsync());
            return line.ToString().TrimEnd('\n');
        }
    }

    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task AnUpgradePassesBothWays(string scope)
    {
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.WriteAsync($"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {call.Head["Upgrade"]}\r\nConnection: Upgrade\r\n\r\n");
            while (await call.Reader.ReadSomeAsync() is { IsEmpty: false } part) await call.Stream.WriteAsync(part);
            call.Close();
        });
        await using var client = await RawClient.ConnectAsync(sites.At1);
        await client.SendAsync(
            $"GET / HTTP/1.1\r\nHost: a\r\nScope: {scope}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
        var head = await client.AnswerAsync();
        Assert.Equal((101, "websocket"), (head.Status, head["Upgrade"]));
        foreach (var text in new[] { "a", "hello", new string('x', 1_000_000) })
        {
            var sending = client.SendAsync(text);
            var received = 0;
            while (received < text.Length) received += (await Wait.ForAsync(client.Reader.ReadSomeAsync(), "what was sent comes back")).Length;
            await sending;
            Assert.Equal(text.Length, received);
        }
    }

    [Theory]
    [InlineData("Site1")]
    [InlineData("Site2")]
    public async Task AClientThatGoesAwayIsFeltByTheService(string scope)
    {
        var arrived = new TaskCompletionSource();
        var gone = new TaskCompletionSource();
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.BeginAsync(200);
            arrived.TrySetResult();
            await call.GoneAsync();
            gone.TrySetResult();
        });
        var client = await RawClient.ConnectAsync(sites.At1);
        await client.SendAsync($"GET / HTTP/1.1\r\nHost: a\r\nScope: {scope}\r\n\r\n");
        await arrived.Task.WaitAsync(Wait.Long);
        client.Reset();
        await gone.Task.WaitAsync(Wait.Long);
    }

    [Theory]
    [InlineData("Site1", true)]
    [InlineData("Site2", true)]
    [InlineData("Site1", false)]
    [InlineData("Site2", false)]
    public async Task AnAnswerThatBreaksOffNeverLooksComplete(string scope, bool chunked)
    {
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            if (chunked)
            {
                await call.BeginAsync(200);
                await call.ChunkAsync("half");
            }
            else
            {
                await call.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
            }

            // An orderly close in the middle: only HTTP's framing tells that it is not the end.
            call.Close();
        });
        await using var client = await RawClient.ConnectAsync(sites.At1);
        await client.SendAsync($"GET / HTTP/1.1\r\nHost: a\r\nScope: {scope}\r\n\r\n");
        var head = await client.AnswerAsync();
        Assert.Equal(200, head.Status);
        await Assert.ThrowsAsync<IOException>(() => client.BodyAsync(head));
    }

    [Fact]
    public async Task AnUploadThatIsRefusedEarlyIsAnsweredEarly()
    {
        await using var sites = await ApiSites.StartAsync(2, async (_, call) =>
        {
            await call.WriteAsync("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
            call.Close();
        });
        await using var client = await RawClient.ConnectAsync(sites.At1);
        await client.SendAsync($"PUT / HTTP/1.1\r\nHost: a\r\nScope: Site2\r\nContent-Length: {Gigabyte}\r\n\r\n{new string('x', 100_000)}");
        var head = await client.AnswerAsync();
        Assert.Equal((413, "big"), (head.Status, await client.BodyAsync(head)));
    }

    [Fact]
    public async Task ASlowReaderHoldsNobodyElseBack()
    {
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Target != "/large")
            {
                await call.AnswerAsync(200, site);
                return;
            }

            await call.WriteAsync($"HTTP/1.1 200 OK\r\nContent-Length: {Gigabyte}\r\n\r\n");
            var part = new byte[64 * 1024];
            for (long sent = 0; sent < Gigabyte; sent += part.Length) await call.Stream.WriteAsync(part);
        });
        await using var slow = await RawClient.ConnectAsync(sites.At1);
        await slow.SendAsync("GET /large HTTP/1.1\r\nHost: a\r\nScope: Site2\r\n\r\n");
        Assert.Equal(200, (await slow.AnswerAsync()).Status);
        for (var i = 0; i < 200; i++) Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
        Assert.All(sites.Mesh.Sites, site => Assert.InRange(site.Agent.Memory(), 1, MemoryMax));
    }

    // Whether what arrives is a repetition of the part that is sent.
    private sealed class Checked(byte[] part)
    {
        private int _at;

        public long Size { get; private set; }

        public int Wrong { get; private set; }

        public void See(ReadOnlyMemory<byte> data)
        {
            Size += data.Length;
            var left = data.Span;
            while (!left.IsEmpty)
            {
                var count = Math.Min(left.Length, part.Length - _at);
                if (!left[..count].SequenceEqual(part.AsSpan(_at, count))) Wrong++;
                _at = (_at + count) % part.Length;
                left = left[count..];
            }
        }
    }

    // Samples the agents' resident memory until it is stopped, and tells the most that each had.
    private sealed class MemoryWatch
    {
        private readonly Dictionary<string, long> _most = [];
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _sampling;

        public MemoryWatch(IReadOnlyList<Site> sites) => _sampling = SampleAsync(sites);

        public async Task<IReadOnlyDictionary<string, long>> StopAsync()
        {
            await _stop.CancelAsync();
            await _sampling;
            return _most;
        }

        private async Task SampleAsync(IReadOnlyList<Site> sites)
        {
            while (!_stop.IsCancellationRequested)
            {
                foreach (var site in sites) _most[site.Name] = Math.Max(_most.GetValueOrDefault(site.Name), site.Agent.Memory());
                await Task.WhenAny(Task.Delay(50, _stop.Token));
            }
        }
    }
}
