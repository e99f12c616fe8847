using System.Net.Sockets;
using System.Text;
using Cheops.Tests.System.Harness;

namespace Cheops.Tests.System.Faults;

/// <summary>Clients that are slow, many, huge or malicious. The service behind sees none of it, and others are served.</summary>
public sealed class HostileTests
{
    private const long Megabyte = 1024 * 1024;

    [Fact]
    public async Task ASlowLorisIsCutWhileOthersAreServed()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        var clients = new List<RawClient>();
        try
        {
            for (var i = 0; i < 200; i++)
            {
                var client = await RawClient.ConnectAsync(sites.At1);
                await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
                clients.Add(client);
            }

            // A byte now and then does not save them: the head as a whole has a bound.
            using var stop = new CancellationTokenSource();
            var dripping = DripAsync(clients, "x", stop.Token);
            Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
            await Wait.UntilAsync("all of them are cut", async () => await sites.Site1.MetricAsync("cheops_http_connections", "cheops_service=\"api\"") < 10, TimeSpan.FromSeconds(60));
            await stop.CancelAsync();
            await dripping;
            Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
        }
        finally
        {
            foreach (var client in clients) await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task BodiesThatStallOrDripAreCutWhileOthersAreServed()
    {
        var (begun, whole) = (0, 0);
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Method == "POST") Interlocked.Increment(ref begun);
            await call.SkipBodyAsync();
            if (call.Method == "POST") Interlocked.Increment(ref whole);
            await call.AnswerAsync(200, site);
        });
        var clients = new List<RawClient>();
        try
        {
            for (var i = 0; i < 240; i++)
            {
                var client = await RawClient.ConnectAsync(sites.At1);
                clients.Add(client);
                var framing = i % 4 < 2 ? "Content-Length: 1000000" : "Transfer-Encoding: chunked";
                await client.SendAsync($"POST / HTTP/1.1\r\nHost: a\r\nScope: Site{1 + (i % 2)}\r\n{framing}\r\n\r\n{(i % 4 < 2 ? "x" : "1\r\nx\r\n")}");
            }

            await Wait.UntilAsync("all have begun at the services", () => Volatile.Read(ref begun) == clients.Count);

            // Two thirds never send more. For the others a byte now and then is never late, and does not save them.
            using var stop = new CancellationTokenSource();
            var dripping = Task.WhenAll(
                DripAsync([.. clients.Where((_, i) => i % 12 < 2)], "x", stop.Token), DripAsync([.. clients.Where((_, i) => i % 12 is 2 or 3)], "1\r\nx\r\n", stop.Token));
            await Wait.UntilAsync(
                "all of them are cut, and others served meanwhile",
                async () =>
                {
                    Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
                    Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
                    Assert.All(sites.Mesh.Sites, site => Assert.InRange(site.Agent.Memory(), 1, 96 * Megabyte));
                    return await sites.Site1.MetricAsync("cheops_http_stalled_total", "cheops_service=\"api\"") == clients.Count;
                },
                TimeSpan.FromSeconds(180));
            await stop.CancelAsync();
            await dripping;
            await Wait.UntilAsync("all are let go", async () => await sites.Site1.MetricAsync("cheops_http_connections", "cheops_service=\"api\"") < 10);
            Assert.Equal(0, whole);
        }
        finally
        {
            foreach (var client in clients) await client.DisposeAsync();
        }
    }

    [Fact]
    public async Task TenThousandIdleConnectionsAreHeldInLittleMemory()
    {
        await using var sites = await ApiSites.StartAsync(2, ApiSites.Hello);
        var sockets = new List<Socket>();
        try
        {
            for (var i = 0; i < 10_000; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                sockets.Add(socket);

                // From several addresses, so that ports do not run out.
                socket.Bind(new global::System.Net.IPEndPoint(global::System.Net.IPAddress.Parse($"127.90.{i % 4}.1"), 0));
                await socket.ConnectAsync(sites.At1.Host, sites.At1.Port);
            }

            await Wait.UntilAsync("all are taken", async () => await sites.Site1.MetricAsync("cheops_http_connections", "cheops_service=\"api\"") >= 10_000);
            Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
            Assert.Equal("Site2", (await Client.GetAsync(sites.At1, "/", "Site2")).Body);
            Assert.InRange(sites.Site1.Agent.Memory(), 1, 150 * Megabyte);
        }
        finally
        {
            foreach (var socket in sockets) socket.Dispose();
        }

        await Wait.UntilAsync("all are let go", async () => await sites.Site1.MetricAsync("cheops_http_connections", "cheops_service=\"api\"") < 10);
    }

    [Fact]
    public async Task RequestsThatAreNoAcceptableHttpNeverReachTheService()
    {
        var seen = 0;
        await using var sites = await ApiSites.StartAsync(2, (site, call) =>
        {
            Interlocked.Increment(ref seen);
            return call.AnswerAsync(200, site);
        });
        string[] requests =
        [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: " + new string('x', 200_000) + "\r\n\r\n",
            "GET /" + new string('x', 100_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Range(0, 500).Select(i => $"X-{i}: y\r\n")) + "\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
            "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            "\u0016\u0003\u0001\u0000\u0005hello\r\n\r\n",
        ];
        foreach (var request in requests)
        {
            var answer = await SendAsync(sites.At1, request);
            Assert.True(answer is >= 400 and < 506 and not 502 and not 503, $"{answer}: {request[..Math.Min(80, request.Length)]}");
        }

        Assert.Equal(0, seen);
        Assert.Equal("Site1", (await Client.GetAsync(sites.At1, "/")).Body);
    }

    [Fact]
    public async Task HugeHeadsOfTheServiceAreRefusedWithoutHarm()
    {
        await using var sites = await ApiSites.StartAsync(2, async (site, call) =>
        {
            if (call.Target == "/huge") await call.AnswerAsync(200, site, ("X-Huge", new string('x', 300_000)));
            else await call.AnswerAsync(200, site);
        });
        foreach (var scope in new[] { "Site1", "Site2" })
        {
            (await Client.GetAsync(sites.At1, "/huge", scope)).Problem(502, "respond", false);
            Assert.Equal(scope, (await Client.GetAsync(sites.At1, "/", scope)).Body);
        }
    }

    // The status; the connection must be closed after it, since nothing behind it can be trusted.
    private static async Task<int> SendAsync(Uri to, string request)
    {
        await using var client = await RawClient.ConnectAsync(to);
        var sending = Task.Run(async () =>
        {
            try
            {
                await client.Stream.WriteAsync(Encoding.Latin1.GetBytes(request));
            }
            catch (IOException)
            {
                // Refused before all was sent.
            }
        });
        var head = await client.AnswerAsync();
        await client.BodyAsync(head);
        Assert.Equal("close", head["Connection"]);
        await sending;
        return head.Status;
    }

    private static async Task DripAsync(IReadOnlyList<RawClient> clients, string piece, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            foreach (var client in clients)
            {
                try
                {
                    await client.SendAsync(piece);
                }
                catch (IOException)
                {
                    // Cut, as it should be.
                }
            }

            await Task.WhenAny(Task.Delay(1000, stop));
        }
    }
}
